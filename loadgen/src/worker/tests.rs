//! A thread whose wire is at fault.
#![allow(clippy::unwrap_used)]

use std::io;
use std::sync::mpsc;

use super::*;
use crate::crew::Crew;
use crate::pattern::Pattern;
use crate::testing;
use crate::wire::clock::Clock;
use crate::workload::{self, Part};

/// A wire that connects nobody, and panics when told to.
struct Broken {
    crew: Crew,
    clock: Clock,
    panics: bool,
}

impl Wire for Broken {
    fn connect(&mut self, _: Option<IpAddr>) -> io::Result<PeerId> {
        Err(io::Error::other("no port is left"))
    }

    fn turn(&mut self, _: Time) -> Result<(), Error> {
        assert!(!self.panics, "as it was told to");
        Ok(())
    }

    fn crew(&mut self) -> &mut Crew {
        &mut self.crew
    }

    fn now(&self) -> Time {
        self.clock.now()
    }
}

/// What a thread says last that does `kind` over such a wire.
fn said(kind: Kind, panics: bool) -> Result<Said, Error> {
    let plan = Plan {
        kind,
        threads: 1,
        peers: 2,
        warmup: Duration::ZERO,
        duration: Duration::from_millis(20),
        ..testing::plan()
    };
    let part = Part {
        thread: 0,
        first: 0,
        peers: plan.peers,
    };
    let crew = Crew::new(workload::new(&plan, &Pattern::new(plan.size), part));
    let clock = Clock::start();
    let (say, said) = mpsc::channel();
    let (begin, heard) = mpsc::channel();
    begin.send(Window::new(&plan, clock.now())).unwrap();
    let share = Share {
        peers: plan.peers,
        plan,
        row: Duration::from_millis(10),
        gauge: Arc::default(),
        stop: Arc::default(),
        say,
        begin: heard,
    };
    let wire = Broken {
        crew,
        clock,
        panics,
    };
    Worker::work(share, Box::new(wire));
    said.iter().last().unwrap()
}

/// Goal: a thread that panics is not waited for. Method: its wire does.
#[test]
fn a_panic_is_said() {
    let Err(error) = said(Kind::Churn, true) else {
        panic!("it says something else");
    };
    assert!(error.to_string().contains("panicked"), "{error}");
}

/// Goal: once the load has begun, a connection that cannot even be begun is one that
/// failed, and why is told; before that, nothing can run. Method: a load that is
/// connecting, and one whose peers connect first.
#[test]
fn who_cannot_connect() {
    let Ok(Said::Done(done)) = said(Kind::Churn, false) else {
        panic!("it says something else");
    };
    assert!(done.tally.account.errors > 0 && done.tally.account.holds());
    assert!(done.attendance.failed >= done.tally.account.errors);
    let why: Vec<_> = done.attendance.errors.keys().collect();
    assert_eq!(why, ["cannot connect: no port is left"]);

    let Err(error) = said(Kind::Echo, false) else {
        panic!("it says something else");
    };
    assert!(error.to_string().contains("no port is left"), "{error}");
}
