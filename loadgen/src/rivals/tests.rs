//! The rivals over loopback. Whole runs over each transport, whose replies are compared byte
//! by byte, are in `tests/cli`; here is what such runs do not reach.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use sealwire::{Clock, Limits, Listener};

use super::server::Server;
use super::streams::{Event, Streams};
use super::*;
use crate::plan::ServerMode;

/// How long anything may take: far longer than it does.
const PATIENCE: Duration = Duration::from_secs(60);
/// Far more than may wait for a peer together with what the system has room for.
const MUCH: usize = 96 << 20;
const SIZE: usize = 64 << 10;

fn listener() -> Listener {
    Listener::on_first(&["127.0.0.1:0".parse().unwrap()]).unwrap()
}

/// Starts an echo, which serves until the tests end. Returns where it is.
fn serve<R: Rival<Setup: Send + 'static> + 'static>(setup: R::Setup) -> SocketAddr {
    let listener = listener();
    let address = listener.local_addr();
    thread::spawn(move || {
        let mut server = Server::<R>::new(setup, ServerMode::Echo, SIZE, listener).unwrap();
        loop {
            server.turn().unwrap();
        }
    });
    address
}

/// The bytes from the place `from` of what is sent.
fn bytes(from: usize, len: usize) -> Vec<u8> {
    (from..from + len)
        .map(|place| (place % 251) as u8)
        .collect()
}

/// Goal: what waits for a peer that does not read is bounded, and none of it is lost when it
/// does read. Method: a peer writes until nothing is taken for a while, which must be long
/// before the end; then it reads it all.
#[test]
fn an_echo_is_bounded() {
    let mut socket = TcpStream::connect(serve::<Plain>(())).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
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
    let late = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
    assert!(late.contains(&stopped), "{stopped}");
    assert!(sent > Limits::default().max_queue);
    socket.shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    socket.read_to_end(&mut back).unwrap();
    assert!(back == bytes(0, sent));
}

/// A rival that can never be sent to.
struct Mute;

impl Rival for Mute {
    type Setup = ();
    type Scratch = ();

    fn new((): &()) -> io::Result<Self> {
        Ok(Self)
    }

    fn is_open(&self) -> bool {
        false
    }

    fn receive(&mut self, _: &mut Stream, _: &mut [u8], (): &mut ()) -> io::Result<ReadResult> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn send(&mut self, _: &mut Stream, _: &[IoSlice<'_>], (): &mut ()) -> io::Result<usize> {
        Ok(0)
    }
}

/// Turns until a connection is closed. Returns why it was.
#[track_caller]
fn closed<R: Rival>(streams: &mut Streams<R, ()>) -> Result<(), String> {
    let clock = Clock::start();
    let (late, mut into) = (clock.now() + PATIENCE, vec![0; 1 << 20]);
    loop {
        assert!(clock.now() < late, "it takes too long");
        streams.wait(Some(late)).unwrap();
        while let Some(event) = streams.next_event(&mut into, |()| true) {
            if let Event::Ended(id) = event {
                streams.close(id, Ok(()));
            }
        }
        streams.begin_writes();
        while let Some(id) = streams.next_writable() {
            streams.written(id);
        }
        if let Some((_, (), outcome)) = streams.next_closed() {
            return outcome;
        }
    }
}

/// Goal: a connection that takes too long to join is given up on either side, and one that is
/// refused says so. Method: handshakes that never end, with less time than they would have; a
/// port that was free a moment ago.
#[test]
fn joining_ends() {
    for accepts in [false, true] {
        let mut streams = Streams::<Mute, ()>::new((), Clock::start()).unwrap();
        streams.patience = Duration::from_millis(20);
        let listener = listener();
        let address = listener.local_addr();
        let _caller = TcpStream::connect(address).unwrap();
        match accepts {
            true => streams.listen(listener).unwrap(),
            false => _ = streams.connect(address, None).unwrap(),
        }
        let why = closed(&mut streams);
        assert_eq!(why, Err("it took too long to connect".into()));
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let mut streams = Streams::<Plain, ()>::new((), Clock::start()).unwrap();
    streams.connect(free.unwrap(), None).unwrap();
    let why = closed(&mut streams);
    assert_eq!(why, Err("the server refused the connection".into()));
}

/// Goal: a wait ends in time, to the microsecond. Method: no connection, and some times that no
/// poll could wait for exactly.
#[test]
fn a_wait_ends_in_time() {
    let clock = Clock::start();
    let mut streams = Streams::<Plain, ()>::new((), clock).unwrap();
    for micros in [0, 1, 50, 700, 1500, 20_300] {
        let until = clock.now() + Duration::from_micros(micros);
        let mut turns = 0;
        while clock.now() < until {
            streams.wait(Some(until)).unwrap();
            turns += 1;
        }
        assert!(turns < 100, "it does not wait");
        assert!(clock.now().since(until) < PATIENCE);
    }
}

/// Goal: a server without the trusted certificate is refused. Method: two certificates.
#[cfg(feature = "tls")]
#[test]
fn a_stranger_is_not_trusted() {
    use super::certificate::Certificate;
    let [ours, other] = [(); 2].map(|()| Certificate::new().unwrap());
    let address = serve::<TlsServer>(other.server().unwrap());
    for (trusted, is_refused) in [(&ours, true), (&other, false)] {
        let setup = certificate::client(Some(&trusted.public)).unwrap();
        let mut streams = Streams::<tls::TlsClient, ()>::new(setup, Clock::start()).unwrap();
        let id = streams.connect(address, None).unwrap();
        streams.finish(id);
        let outcome = closed(&mut streams);
        let refused = outcome.is_err_and(|why| why.contains("certificate"));
        assert_eq!(refused, is_refused);
    }
}
