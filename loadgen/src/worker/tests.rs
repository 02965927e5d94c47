//! A thread whose wire is made up, or at fault.
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;

use sealwire::net::clock::Clock;

use super::*;
use crate::crew::Crew;
use crate::pattern::Pattern;
use crate::plan::Rate;
use crate::testing;
use crate::wire::{Link, Received};
use crate::workload::{self, Share};

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
    /// The user ends the run when the first peer has joined, and others are on their way.
    Stops,
    /// The user ends it when the load has begun, to which nothing is answered.
    StopsSilent,
    /// All peers leave soon after the load has begun.
    Leaves,
}

/// A wire to a server that answers at once.
struct MadeUp {
    crew: Crew,
    clock: Clock,
    fault: Fault,
    stop: Arc<AtomicBool>,
    /// Those on their way, and those that are there.
    coming: VecDeque<PeerId>,
    there: Vec<PeerId>,
    begun: u64,
    sent: Sent,
}

/// What was sent since the last turn.
struct Sent {
    clock: Clock,
    pattern: Pattern,
    messages: Vec<(PeerId, Range<usize>)>,
    finished: Vec<PeerId>,
}

impl Link for Sent {
    fn now(&self) -> Time {
        self.clock.now()
    }

    fn send(&mut self, peer: PeerId, part: Range<usize>) -> bool {
        self.messages.push((peer, part));
        true
    }

    fn waiting(&self, _: PeerId) -> usize {
        0
    }

    fn finish(&mut self, peer: PeerId) {
        self.finished.push(peer);
    }
}

impl MadeUp {
    fn join(&mut self, peer: PeerId) {
        if self.fault == Fault::Refuses {
            let why = Err("it is refused".into());
            return self.crew.left(self.clock.now(), peer, why);
        }
        self.there.push(peer);
        self.crew.joined(&mut self.sent, peer);
        if self.fault == Fault::Stops {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

impl Wire for MadeUp {
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
        if let Some(peer) = self.coming.pop_front() {
            self.join(peer);
        }
        let now = self.clock.now();
        if self.fault == Fault::StopsSilent && !self.sent.messages.is_empty() {
            self.sent.messages.clear();
            self.stop.store(true, Ordering::Relaxed);
        }
        for (peer, part) in std::mem::take(&mut self.sent.messages) {
            let bytes = self.sent.pattern.bytes()[part].to_vec();
            self.crew.message(now, peer, Received(&[&bytes]));
            self.crew.go_on(&mut self.sent, peer);
        }
        for peer in std::mem::take(&mut self.sent.finished) {
            self.there.retain(|other| *other != peer);
            self.crew.left(now, peer, Ok(()));
        }
        if self.fault == Fault::Leaves && now > START + Duration::from_millis(10) {
            for peer in std::mem::take(&mut self.there) {
                self.crew.left(now, peer, Err("it is gone".into()));
            }
        }
        self.crew.turn(&mut self.sent);
        Ok(())
    }

    fn crew(&mut self) -> &mut Crew {
        &mut self.crew
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

/// What the threads of `plan` say last, each over a wire with a fault of its own.
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
            let wire = MadeUp {
                crew: Crew::new(workload::new(&plan, &pattern, share)),
                clock,
                fault,
                stop: stop.clone(),
                coming: VecDeque::new(),
                there: Vec::new(),
                begun: 0,
                sent: Sent {
                    clock,
                    pattern,
                    messages: Vec::new(),
                    finished: Vec::new(),
                },
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

/// What all have done together.
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

/// Goal: a thread that panics is not waited for. Method: its wire does.
#[test]
fn a_panic_is_said() {
    let said = said(&plan(Kind::Churn), &[Fault::Panics]);
    let [Err(error)] = &said[..] else {
        panic!("it says something else");
    };
    assert!(error.to_string().contains("panicked"), "{error}");
}

/// Goal: once the load has begun, a connection that cannot even be begun is one that
/// failed, and why is told; before that, nothing can run. Method: a load that is
/// connecting, and one whose peers connect first.
#[test]
fn who_cannot_connect() {
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

/// Goal: where the load is that peers connect, it is told before it begins whether they
/// can, and those who tried are none of the load. Method: a server that refuses them, and
/// one that does not.
#[test]
fn who_tries_before_a_churn() {
    for (fault, joined) in [(Fault::Refuses, 0), (Fault::None, 1)] {
        let mut said = all_said(&plan(Kind::Churn), &[fault]).remove(0);
        let Ok(Said::Joined(joining)) = said.remove(0) else {
            panic!("it says something else first");
        };
        let Attendance {
            joined: came,
            failed,
            ..
        } = joining.attendance;
        assert_eq!((came, failed), (joined, 1 - joined));
        let (tally, attendance) = done(vec![said.pop().unwrap()]);
        let account = tally.account;
        let (done, failed) = (attendance.complete, attendance.failed);
        assert_eq!((done, failed), (account.completed, account.errors));
    }
}

/// Goal: who is on its way when the user ends the run is no failure: it joins, hears
/// that nothing follows, and is complete. Method: three peers, of whom one is there.
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

/// Goal: what is due to peers that have left is due until the run ends, whichever
/// thread they were of; and no longer than there is a peer. Method: four peers, who
/// have 25 messages each; those of one thread leave, of two, or of both.
#[test]
fn threads_without_peers() {
    let rate = 1000.0;
    let plan = Plan {
        peers: 4,
        depth: 1000,
        rate: Some(Rate {
            from: rate,
            to: rate,
        }),
        ..plan(Kind::Echo)
    };
    let (stays, leaves) = (Fault::None, Fault::Leaves);
    for (faults, shed) in [(&[stays][..], 0), (&[stays, leaves], 50)] {
        let (tally, _) = done(said(&plan, faults));
        let account = tally.account;
        assert_eq!(account.scheduled, 100, "{account:?}");
        // Some of them were answered before they left.
        assert!(account.shed <= shed, "{account:?}");
    }
    let (tally, attendance) = done(said(&plan, &[leaves, leaves]));
    assert_eq!(attendance.failed, 4);
    assert!(tally.account.scheduled <= 100, "{:?}", tally.account);
}

/// Goal: what is under way when the user ends the run is told so, as long as it might
/// still be answered, and is not waited for as long as that. Method: a minute for each
/// answer, and a server that gives none.
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
