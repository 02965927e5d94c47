#![allow(clippy::unwrap_used)]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;

use super::*;
use crate::plan::Over;
use crate::wire::plain::Plain;
use crate::wire::testing::{PATIENCE, Running};

/// Far more than may wait for a peer and what the system has room for.
const MUCH: usize = 96 << 20;
const SIZE: usize = 64 << 10;

fn start(mode: Mode) -> Running {
    Running::start::<Plain>((), Over::Plain, mode, SIZE)
}

fn peer(server: &Running) -> TcpStream {
    let socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// The byte at `place` of what is sent.
fn byte(place: usize) -> u8 {
    (place % 251) as u8
}

fn bytes(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(byte).collect()
}

/// Goal: what waits for a peer that does not read is bounded, and nothing of it is
/// lost when it does. Method: a peer writes until nothing is taken for a while, which
/// must be long before the end; then it reads it all.
#[test]
fn an_echo_waits_for_who_does_not_read() {
    let server = start(Mode::Echo);
    let mut socket = peer(&server);
    let patience = Duration::from_millis(500);
    socket.set_write_timeout(Some(patience)).unwrap();
    let mut sent = 0;
    let stopped = loop {
        match socket.write(&bytes(sent, SIZE)) {
            Ok(count) => sent += count,
            Err(error) => break error.kind(),
        }
        assert!(sent < MUCH, "there is no bound");
    };
    assert!(matches!(
        stopped,
        ErrorKind::WouldBlock | ErrorKind::TimedOut
    ));
    assert!(sent > Limits::default().max_queue);
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut back = Vec::new();
    socket.read_to_end(&mut back).unwrap();
    assert_eq!(back.len(), sent);
    assert!(back.iter().enumerate().all(|(place, &b)| b == byte(place)));
}

/// Goal: a receiver that reads nothing is given up once it holds others up, and they
/// get everything. Method: one sends, one reads, one does not.
#[test]
fn a_relay_gives_up_on_who_is_too_slow() {
    let server = start(Mode::Relay);
    let (mut from, mut to, mut slow) = (peer(&server), peer(&server), peer(&server));
    // All three are there once each has had a message.
    let everyone = |sockets: &mut [&mut TcpStream; 3]| {
        for index in 0..3 {
            sockets[index].write_all(&[index as u8; SIZE]).unwrap();
            for other in (0..3).filter(|&other| other != index) {
                sockets[other].read_exact(&mut [0; SIZE]).unwrap();
            }
        }
    };
    everyone(&mut [&mut from, &mut to, &mut slow]);
    let sender = thread::spawn(move || {
        for place in (0..MUCH).step_by(SIZE) {
            from.write_all(&bytes(place, SIZE)).unwrap();
        }
        from
    });
    let mut heard = vec![0; MUCH];
    to.read_exact(&mut heard).unwrap();
    assert!(heard.iter().enumerate().all(|(place, &b)| b == byte(place)));
    sender.join().unwrap();
    let mut rest = Vec::new();
    // Its connection may have been reset, which is as good.
    let _ = slow.read_to_end(&mut rest);
    assert!(rest.len() < MUCH);
}

/// Goal: messages that come in pieces, several at once, go on whole. Method: pieces
/// of odd lengths, so that some reads hold less than a message and some much more.
#[test]
fn pieces_are_put_together() {
    let server = start(Mode::Relay);
    let (mut from, mut to) = (peer(&server), peer(&server));
    to.write_all(&[1; SIZE]).unwrap();
    from.read_exact(&mut [0; SIZE]).unwrap();
    let total = 200 * SIZE;
    let sender = thread::spawn(move || {
        let mut place = 0;
        for piece in [1, SIZE - 1, 2, 3 * SIZE, 77, 5 * SIZE + 1].iter().cycle() {
            let len = (*piece).min(total - place);
            from.write_all(&bytes(place, len)).unwrap();
            place += len;
            if place == total {
                // Half a message at the end is none.
                from.write_all(&[0; SIZE / 2]).unwrap();
                return;
            }
        }
    });
    let mut heard = vec![0; total];
    to.read_exact(&mut heard).unwrap();
    assert!(heard.iter().enumerate().all(|(place, &b)| b == byte(place)));
    sender.join().unwrap();
    to.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(to.read(&mut [0; 1]).unwrap(), 0);
}
