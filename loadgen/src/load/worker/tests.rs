//! A worker whose wire is simulated, or at fault.
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;

use sealwire::net::clock::Clock;

use super::*;
use crate::load::Received;
use crate::load::pattern::Pattern;
use crate::load::peers::Peers;
use crate::load::simulation::Sent;
use crate::load::workload;
use crate::plan::Rate;
use crate::testing;

/// What is the matter with a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// It connects only one.
    Connects,
    /// Its turns panic.
    Panics,
    /// Connections fail.
    Refuses,
    /// The user ends the run when the first peer has joined, and others still connect.
    Stops,
    /// The user ends it when the load has begun, which gets no answer.
    StopsSilent,
    /// All peers leave soon after the load has begun.
    Leaves,
}

/// A wire to a server that answers at once.
struct Simulated {
    peers: Peers,
    clock: Clock,
    fault: Fault,
    stop: Arc<AtomicBool>,
    /// Peers that connect, and those that have joined.
    coming: VecDeque<PeerId>,
    there: Vec<PeerId>,
    begun: u64,
    sent: Sent,
}

impl Simulated {
    fn join(&mut self, peer: PeerId) {
        if self.fault == Fault::Refuses {
            let why = Err("it is refused".into());
            return self.peers.left(self.clock.now(), peer, why);
        }
        self.there.push(peer);
        self.peers.joined(&mut self.sent, peer);
        if self.fault == Fault::Stops {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

impl Wire for Simulated {
    fn connect(&mut self, _: Option<SocketAddr>) -> io::Result<PeerId> {
        if self.fault == Fault::Connects && self.begun > 0 {
            return Err(io::Error::other("no port is left"));
        }
        self.begun += 1;
        let peer = PeerId::from_u64(self.begun);
        self.coming.push_back(peer);
        Ok(peer)
    }

    /// One peer joins in each turn.
    fn turn(&mut self, _: Time) -> Result<(), Error> {
        assert!(self.fault != Fault::Panics, "as it was told to");
        self.sent.now = self.clock.now();
        if let Some(peer) = self.coming.pop_front() {
            self.join(peer);
        }
        let now = self.clock.now();
        if self.fault == Fault::StopsSilent && !self.sent.sent.is_empty() {
            self.sent.sent.clear();
            self.stop.store(true, Ordering::Relaxed);
        }
        for (peer, part) in std::mem::take(&mut self.sent.sent) {
            let bytes = self.sent.pattern.bytes()[part].to_vec();
            self.peers.message(now, peer, Received(&[&bytes]));
            self.peers.go_on(&mut self.sent, peer);
        }
        for peer in std::mem::take(&mut self.sent.finished) {
            self.there.retain(|other| *other != peer);
            self.peers.left(now, peer, Ok(()));
        }
        if self.fault == Fault::Leaves && now > START + Duration::from_millis(10) {
            for peer in std::mem::take(&mut self.there) {
                self.peers.left(now, peer, Err("it is gone".into()));
            }
        }
        self.peers.turn(&mut self.sent);
        Ok(())
    }

    fn peers(&mut self) -> &mut Peers {
        &mut self.peers
    }

    fn now(&self) -> Time {
        self.clock.now()
    }
}

/// When the load begins, by a clock that starts with the test.
const START: Time = Time::from_nanos(20_000_000);

fn plan(kind: Kind) -> Plan {
    Plan {
        kind,
        threads: 1,
        peers: 2,
        warmup: Duration::ZERO,
        duration: Duration::from_millis(100),
        ..testing::plan()
    }
}

/// What the threads of `plan` say last; each has a wire with its own fault.
fn said(plan: &Plan, faults: &[Fault]) -> Vec<Result<Said, Error>> {
    let all = all_said(plan, faults).into_iter();
    all.map(|mut said| said.pop().unwrap()).collect()
}

/// All that they say.
fn all_said(plan: &Plan, faults: &[Fault]) -> Vec<Vec<Result<Said, Error>>> {
    let plan = Plan {
        threads: faults.len(),
        ..plan.clone()
    };
    let (clock, stop) = (Clock::start(), Arc::<AtomicBool>::default());
    let window = Window::new(&plan, START);
    let ending = Arc::new(Ending::new(plan.threads, &stop));
    let threads: Vec<_> = faults
        .iter()
        .enumerate()
        .map(|(thread, &fault)| {
            let share = Share::new(&plan, thread);
            let pattern = Pattern::new(plan.size);
            let wire = Simulated {
                peers: Peers::new(workload::new(&plan, &pattern, share)),
                clock,
                fault,
                stop: stop.clone(),
                coming: VecDeque::new(),
                there: Vec::new(),
                begun: 0,
                sent: Sent::new(pattern),
            };
            let (say, said) = mpsc::channel();
            let (begin, heard) = mpsc::channel();
            begin.send(window).unwrap();
            let task = Task {
                share,
                plan: plan.clone(),
                row: Duration::from_millis(10),
                gauge: Arc::default(),
                ending: ending.clone(),
                say,
                begin: heard,
            };
            std::thread::spawn(move || {
                Worker::work(task, Box::new(wire));
                said.iter().collect()
            })
        })
        .collect();
    let threads = threads.into_iter();
    threads.map(|thread| thread.join().unwrap()).collect()
}

/// The sum of what all have done.
#[track_caller]
fn done(said: Vec<Result<Said, Error>>) -> (Tally, Attendance) {
    let (mut tally, mut attendance) = (Tally::new(), Attendance::default());
    for said in said {
        let Ok(Said::Done(done)) = said else {
            panic!("it says something else");
        };
        tally += &done.tally;
        attendance.add(done.attendance);
    }
    assert!(tally.account.holds(), "{:?}", tally.account);
    (tally, attendance)
}

/// Goal: a thread that panics says so. Method: its wire does.
#[test]
fn a_panic_is_said() {
    let said = said(&plan(Kind::Churn), &[Fault::Panics]);
    let [Err(error)] = &said[..] else {
        panic!("it says something else");
    };
    assert!(error.to_string().contains("panicked"), "{error}");
}

/// Goal: in the load, a connection that cannot begin has failed, with the reason; before the
/// load, it ends the run. Method: a load of connections, and one whose peers connect first.
#[test]
fn connections_that_cannot_begin() {
    let (tally, attendance) = done(said(&plan(Kind::Churn), &[Fault::Connects]));
    assert!(
        (1..=11).contains(&tally.account.errors),
        "it does not pause"
    );
    assert!(attendance.failed >= tally.account.errors);
    let why: Vec<_> = attendance.errors.keys().collect();
    assert_eq!(why, ["cannot connect: no port is left"]);

    let said = said(&plan(Kind::Echo), &[Fault::Connects]);
    let [Err(error)] = &said[..] else {
        panic!("it says something else");
    };
    assert!(error.to_string().contains("no port is left"), "{error}");
}

/// Goal: a load of connections tests first whether they work, and the test does not count.
/// Method: a server that refuses them, and one that does not.
#[test]
fn a_test_before_a_churn() {
    for (fault, joined) in [(Fault::Refuses, 0), (Fault::None, 1)] {
        let mut said = all_said(&plan(Kind::Churn), &[fault]).remove(0);
        let Ok(Said::Joined(first, _)) = said.remove(0) else {
            panic!("it says something else first");
        };
        assert_eq!((first.joined, first.failed), (joined, 1 - joined));
        let (tally, attendance) = done(vec![said.pop().unwrap()]);
        let account = tally.account;
        let (done, failed) = (attendance.complete, attendance.failed);
        assert_eq!((done, failed), (account.completed, account.errors));
    }
}

/// Goal: a peer that still connects when the user ends the run is no failure: it joins, hears
/// that nothing follows, and is complete. Method: three peers; one has joined.
#[test]
fn stopped_while_peers_join() {
    let plan = Plan {
        peers: 3,
        ..plan(Kind::Echo)
    };
    let (_, attendance) = done(said(&plan, &[Fault::Stops]));
    assert_eq!(attendance.errors.len(), 0, "{attendance:?}");
    assert_eq!((attendance.joined, attendance.complete), (3, 3));
}

/// Goal: messages of peers that have left are due until the run ends, in every thread; and no
/// longer than any peer is there. Method: four peers with 25 messages each; those of one
/// thread leave, or of both.
#[test]
fn threads_without_peers() {
    let plan = Plan {
        peers: 4,
        depth: 1000,
        rate: Some(Rate::steady(1000.0)),
        ..plan(Kind::Echo)
    };
    let (stays, leaves) = (Fault::None, Fault::Leaves);
    for (faults, shed) in [(&[stays][..], 0), (&[stays, leaves], 50)] {
        let (tally, _) = done(said(&plan, faults));
        let account = tally.account;
        assert_eq!(account.scheduled, 100, "{account:?}");
        // Some were answered before their peer left.
        assert!(account.shed <= shed, "{account:?}");
    }
    let (tally, attendance) = done(said(&plan, &[leaves, leaves]));
    assert_eq!(attendance.failed, 4);
    assert!(tally.account.scheduled <= 100, "{:?}", tally.account);
}

/// Goal: messages in flight when the user ends the run are counted as that, and are not waited
/// for until their timeout. Method: a timeout of a minute, and a server without answers.
#[test]
fn stopped_in_flight() {
    let plan = Plan {
        timeout: Duration::from_secs(60),
        rate: None,
        depth: 3,
        duration: Duration::from_secs(30),
        ..plan(Kind::Echo)
    };
    let (tally, _) = done(said(&plan, &[Fault::StopsSilent]));
    let account = tally.account;
    assert_eq!((account.in_flight, account.timeouts), (6, 0), "{account:?}");
}
