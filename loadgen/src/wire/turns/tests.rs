#![allow(clippy::unwrap_used)]

use std::io::IoSlice;
use std::net::TcpListener;
use std::ops::Range;

use sealwire::net::stream::Stream;

use super::*;
use crate::wire::codec::Came;
use crate::wire::testing::PATIENCE;

/// One that can never be sent to.
struct Mute;

impl Codec for Mute {
    type Setup = ();
    type Room = ();

    fn new((): &()) -> io::Result<Self> {
        Ok(Self)
    }

    fn is_open(&self) -> bool {
        false
    }

    fn receive(&mut self, _: &mut Stream, _: &mut [u8], (): &mut ()) -> io::Result<Came> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn send(&mut self, _: &mut Stream, _: &[IoSlice<'_>], (): &mut ()) -> io::Result<usize> {
        Ok(0)
    }

    fn unsent(&self) -> usize {
        0
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Notes why each has left.
struct Notes(Vec<Result<(), String>>);

impl User<Mute> for Notes {
    type Peer = ();

    fn said(&mut self, _: &mut Peers<Mute, ()>, _: PeerId, _: &[u8], _: Range<usize>) {}

    fn ended(&mut self, _: &mut Peers<Mute, ()>, _: PeerId) {}

    fn write(&mut self, _: &mut Peers<Mute, ()>, _: PeerId) -> bool {
        true
    }

    fn left(&mut self, _: &mut Peers<Mute, ()>, _: PeerId, (): (), outcome: Result<(), String>) {
        self.0.push(outcome);
    }
}

/// Goal: who takes too long to join is given up on, on either side, and it is said why.
/// Method: handshakes that never end, and less time than they would have.
#[test]
fn joining_ends() {
    for accepts in [false, true] {
        let clock = Clock::start();
        let mut turns = Turns::<Mute, _>::new((), clock, Notes(Vec::new())).unwrap();
        turns.patience = Duration::from_millis(20);
        let listener = Listener::on_first(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut callers = Vec::new();
        if accepts {
            let address = listener.local_addr();
            callers.extend((0..3).map(|_| std::net::TcpStream::connect(address).unwrap()));
            turns.listen(listener).unwrap();
        } else {
            for _ in 0..3 {
                turns.connect(other.local_addr().unwrap(), None).unwrap();
            }
        }
        let late = clock.now() + PATIENCE;
        while turns.user.0.len() < 3 {
            assert!(clock.now() < late, "it takes too long");
            turns.turn(Some(late)).unwrap();
        }
        let why = Err("it took too long to connect".to_owned());
        assert_eq!(turns.user.0, vec![why; 3]);
    }
}
