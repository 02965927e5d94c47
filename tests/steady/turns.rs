//! How many peers one tick reads, writes to and closes: a system call each.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, IoSliceMut};

use sealwire::conn::FirstSecrets;
use sealwire::limits::{PEERS_CLOSED, PEERS_READ, PEERS_WRITTEN};
use sealwire::{
    Context, Echo, Endpoint, EndpointEvent, Identity, Leaves, Message, Mode, PeerId, Read,
    Receivers, Secret, SecretPair, Setup, Time, Transport,
};

const PEERS: usize = 5000;

/// Sockets that count what a tick asks of them. They have nothing to read but their end.
#[derive(Default)]
struct Counting {
    ended: bool,
    read: Vec<PeerId>,
    written: Vec<PeerId>,
    closed: usize,
}

impl Transport for Counting {
    fn read(&mut self, peer: PeerId, _: &mut [IoSliceMut<'_>]) -> io::Result<Read> {
        self.read.push(peer);
        match self.ended {
            true => Ok(Read {
                bytes: 0,
                drained: true,
            }),
            false => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn write(&mut self, peer: PeerId, bytes: &[u8]) -> io::Result<usize> {
        self.written.push(peer);
        Ok(bytes.len())
    }

    fn shut_down(&mut self, _: PeerId) {}

    fn close(&mut self, _: PeerId) {
        self.closed += 1;
    }
}

/// Says FIN to all peers when told to.
#[derive(Default)]
struct Speaks {
    speak: bool,
}

impl Mode for Speaks {
    fn receivers(&self) -> Receivers {
        Receivers::Nobody
    }

    fn message(&mut self, _: &mut Context, _: PeerId, _: Message<'_>) {}

    fn tick(&mut self, context: &mut Context) {
        if std::mem::take(&mut self.speak) {
            context.finish_all();
        }
    }
}

/// An endpoint with so many peers.
fn crowd<M: Mode>(mode: M) -> (Endpoint<M>, Vec<PeerId>) {
    let mut setup = Setup::new(crate::chosen::kernel(), Leaves::WhenStopped, [1; 32]);
    let [confkey, authkey] = [1, 2].map(|byte| Secret::new(vec![byte; 32]));
    setup.identity = Identity::new(&SecretPair { confkey, authkey });
    let mut endpoint = Endpoint::new(setup, mode);
    let secrets = FirstSecrets {
        to_us: &[1; 32],
        from_us: &[2; 32],
    };
    let adopt = |_| endpoint.adopt(Time::ZERO, secrets);
    let peers = (0..PEERS).map(adopt).collect();
    (endpoint, peers)
}

/// Ticks until nothing is left to do at once. Returns what each tick asked of the sockets.
fn ticks<M: Mode>(endpoint: &mut Endpoint<M>, ended: bool) -> Vec<Counting> {
    let mut all = Vec::new();
    while endpoint.next_timeout() == Some(Time::ZERO) {
        let mut io = Counting {
            ended,
            ..Counting::default()
        };
        endpoint.tick(Time::from_nanos(1_000_000), &mut io);
        all.push(io);
        assert!(all.len() < 100, "it does not come to an end");
    }
    all
}

/// Goal: one tick reads and closes no more peers than it may, whatever number has ended at
/// once; the rest come next, each once. Method: all of five thousand end; calls are counted.
#[test]
fn many_ends_take_several_ticks() {
    let (mut endpoint, peers) = crowd(Echo);
    peers.iter().for_each(|&peer| endpoint.readable(peer));
    let all = ticks(&mut endpoint, true);
    assert!(
        all.iter()
            .all(|io| io.read.len() <= PEERS_READ && io.closed <= PEERS_CLOSED)
    );
    let read: Vec<_> = all.iter().flat_map(|io| &io.read).copied().collect();
    assert_eq!(read, peers, "each once, in order");
    assert_eq!(endpoint.connections(), 0);
    assert!(all.len() <= PEERS / PEERS_CLOSED + 3, "{} ticks", all.len());
    let events = std::iter::from_fn(|| endpoint.poll_event());
    let left = events.filter(|event| matches!(event, EndpointEvent::Left(..)));
    assert_eq!(left.count(), PEERS);
}

/// Goal: one tick closes no more peers than it may, though as many are read to their end as it may
/// read, and the time of others is over. Method: of five thousand silent peers, half have ended.
#[test]
fn ends_and_deadlines_take_several_ticks() {
    let (mut endpoint, peers) = crowd(Echo);
    ticks(&mut endpoint, false);
    for &peer in &peers[PEERS / 2..] {
        endpoint.readable(peer);
    }
    let late = Time::ZERO + 3 * endpoint.limits().dead_after;
    let mut count = 0;
    while endpoint.connections() > 0 {
        let mut io = Counting {
            ended: true,
            ..Counting::default()
        };
        endpoint.tick(late, &mut io);
        assert!(io.closed <= PEERS_CLOSED, "{} closed", io.closed);
        count += 1;
        assert!(count <= PEERS / PEERS_CLOSED + 3, "{count} ticks");
    }
    assert!(count >= PEERS / PEERS_CLOSED, "{count} ticks");
}

/// Goal: one tick writes to no more peers than it may; the rest come next, each once. Method:
/// all of five thousand are sent FIN at once.
#[test]
fn many_writes_take_several_ticks() {
    let (mut endpoint, peers) = crowd(Speaks::default());
    ticks(&mut endpoint, false);
    endpoint.mode_mut().speak = true;
    endpoint.readable(peers[0]);
    let all = ticks(&mut endpoint, false);
    assert!(all.iter().all(|io| io.written.len() <= PEERS_WRITTEN));
    let written: Vec<_> = all.iter().flat_map(|io| &io.written).copied().collect();
    assert_eq!(written.len(), PEERS);
    assert_eq!(written.iter().collect::<BTreeSet<_>>().len(), PEERS);
    assert!(
        all.len() <= PEERS / PEERS_WRITTEN + 2,
        "{} ticks",
        all.len()
    );
}
