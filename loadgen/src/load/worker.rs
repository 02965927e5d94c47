//! A thread of the load tester: takes its share of the peers through a run, over one wire.
//!
//! Its peers join. It waits for the word to begin, sends until the time is over, and waits for
//! what is in flight. Then its peers finish. [`crate::run`] starts the threads and adds up their
//! reports.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::Duration;

use hdrhistogram::Histogram;
use sealwire::{PeerId, Time};
use sealwire_cli::error::Error;

use super::Wire;
use super::ending::Ending;
use super::sources::Sources;
use super::workload::Share;
use crate::limits::{
    COMPLETION, CONNECT_PAUSE, DRAIN, HANDSHAKES_AT_ONCE, LOOK_STOPPED, LOOK_TO_BEGIN,
};
use crate::measure::freezes::Silences;
use crate::measure::intervals::ThreadInterval;
use crate::measure::meter::Window;
use crate::measure::results::{Attendance, Interval, Tally, ThreadUse};
use crate::measure::sample;
use crate::plan::{Kind, Plan};

/// A peer that could not begin to connect. It is the highest number, because wires count up from
/// the lowest.
const UNNAMED: PeerId = PeerId::from_u64(u64::MAX);

pub(crate) enum ThreadReport {
    /// All its peers have joined or failed; the last one at this time.
    Joined(Attendance, Time),
    /// An interval of the measured time is over.
    Interval(Box<ThreadInterval>),
    Done(Box<ThreadResults>),
}

pub(crate) struct ThreadResults {
    pub(crate) tally: Tally,
    pub(crate) attendance: Attendance,
    /// With those after the beginning.
    pub(crate) handshakes: Histogram<u64>,
    pub(crate) silences: Silences,
    pub(crate) took: Duration,
    /// How much of that time was load, and what this thread had of processors in it.
    pub(crate) loaded: Duration,
    pub(crate) used: ThreadUse,
}

/// What a thread shows while it runs.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    pub(crate) peers: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) done: AtomicU64,
}

pub(crate) struct Task {
    pub(crate) plan: Plan,
    pub(crate) share: Share,
    pub(crate) interval: Duration,
    pub(crate) gauge: Arc<Gauge>,
    pub(crate) ending: Arc<Ending>,
    /// Where it reports its progress, or why it cannot go on.
    pub(crate) reports: Sender<Result<ThreadReport, Error>>,
    pub(crate) begin: Receiver<Window>,
}

pub(crate) struct Worker<'a> {
    task: Task,
    wire: &'a mut dyn Wire,
    begun: usize,
    sources: Sources,
    /// When to show progress, and whether the run has ended, though nothing happens.
    look: Time,
    /// No connection begins before.
    paused: Time,
    loads: bool,
    /// All its peers are gone, and it has reported that.
    deserted: bool,
}

impl<'a> Worker<'a> {
    /// Does `task` over `wire`, and reports its progress.
    pub(crate) fn work(task: Task, wire: &'a mut dyn Wire) {
        let reports = task.reports.clone();
        let worker = Self {
            sources: Sources::new(&task.plan.sources, task.share.thread, task.plan.threads),
            task,
            wire,
            begun: 0,
            look: Time::ZERO,
            paused: Time::ZERO,
            loads: false,
            deserted: false,
        };
        // The run waits for each thread, so a panic must be reported. It ends the worker.
        let report = match catch_unwind(AssertUnwindSafe(|| worker.run())) {
            Ok(done) => done.map(|done| ThreadReport::Done(Box::new(done))),
            Err(_) => Err(Error::Local("a thread of the load tester panicked".into())),
        };
        // A run that has ended does not listen.
        let _ = reports.send(report);
    }

    fn run(mut self) -> Result<ThreadResults, Error> {
        self.join()?;
        let window = self.wait()?;
        self.wire.peers().workload().begin(window);
        self.loads = true;
        self.until(window.measure)?;
        let used = sample::thread_use();
        self.measure(window)?;
        let used = sample::thread_use().since(used);
        let now = self.wire.now();
        let ended = self.task.ending.at(now).unwrap_or(now);
        let loaded = ended.min(window.end).since(window.measure);
        let silences = self.wire.peers().meter().silences(ended);
        self.end()?;
        let now = self.wire.now();
        let peers = self.wire.peers();
        Ok(ThreadResults {
            tally: peers.workload().tally(),
            attendance: peers.attendance().clone(),
            handshakes: peers.handshakes().0.clone(),
            silences,
            took: peers.workload().took(now).unwrap_or(loaded),
            loaded,
            used,
        })
    }

    /// Connects all peers. Where connecting is itself the load, only one peer tests whether it
    /// works; it leaves again, and does not count.
    fn join(&mut self) -> Result<(), Error> {
        let churns = self.task.plan.kind == Kind::Churn;
        let wanted = if churns { 1 } else { self.task.share.peers };
        let at_once = (HANDSHAKES_AT_ONCE / self.task.plan.threads).max(1);
        while self.begun < wanted || self.wire.peers().connecting() > 0 {
            let waiting = self.wire.peers().connecting();
            let most = wanted.min(self.begun + at_once.saturating_sub(waiting));
            self.connect(most - self.begun)?;
            self.turn(None)?;
            if self.is_stopped() {
                break;
            }
        }
        if churns {
            let late = self.wire.now() + COMPLETION;
            self.turn_until(late, |worker| {
                worker.is_stopped() || worker.wire.peers().remain() == 0
            })?;
        }
        let peers = self.wire.peers();
        let joined = ThreadReport::Joined(peers.attendance().clone(), peers.handshakes().1);
        if churns {
            peers.forget();
        }
        let _ = self.task.reports.send(Ok(joined));
        Ok(())
    }

    /// Waits for the word to begin.
    fn wait(&mut self) -> Result<Window, Error> {
        loop {
            match self.task.begin.try_recv() {
                Ok(window) => return Ok(window),
                Err(TryRecvError::Empty) => {}
                Err(error) => return Err(Error::Local(format!("the run has ended: {error}"))),
            }
            let soon = self.wire.now() + LOOK_TO_BEGIN;
            self.turn(Some(soon))?;
        }
    }

    /// Measures, interval by interval.
    fn measure(&mut self, window: Window) -> Result<(), Error> {
        // Answers of the warm-up do not count.
        self.wire.peers().meter().take_recent();
        let mut before = self.so_far();
        let (mut index, mut until) = (0, window.measure);
        while until < window.end && !self.is_over() {
            let from = until;
            until = (until + self.task.interval).min(window.end);
            self.until(until)?;
            let ended = until.min(self.wire.now());
            let now = self.so_far();
            let peers = self.wire.peers();
            let interval = Interval {
                until: ended.since(window.measure),
                took: ended.since(from),
                completed: now.0 - before.0,
                sent: now.1 - before.1,
                peers: peers.present() as u64,
                generator: now.2.saturating_sub(before.2),
                ..Interval::default()
            };
            let responses = peers.meter().take_recent();
            let interval = ThreadInterval {
                index,
                interval,
                responses,
            };
            let report = ThreadReport::Interval(Box::new(interval));
            let _ = self.task.reports.send(Ok(report));
            before = now;
            index += 1;
        }
        Ok(())
    }

    /// What this thread has answered, sent and used since it began.
    fn so_far(&mut self) -> (u64, u64, Duration) {
        let meter = self.wire.peers().meter();
        let (answered, sent) = (meter.answered_so_far, meter.sent_so_far);
        (answered, sent, sample::thread_time())
    }

    /// Waits for what is in flight, then for peers to be complete.
    fn end(&mut self) -> Result<(), Error> {
        let now = self.wire.now();
        if let Some(ended) = self.task.ending.at(now) {
            self.wire.peers().meter().close(ended);
        }
        while self.wire.peers().meter().in_flight() > 0 {
            // Shorter once the user has stopped the run.
            let late = now + drain(self.task.plan.timeout, self.is_stopped());
            if self.wire.now() >= late {
                break;
            }
            self.turn(Some(late))?;
        }
        let (now, stopped) = (self.wire.now(), self.is_stopped());
        self.wire.peers().workload().stop(now, stopped);
        self.wire.peers().finish();
        // The next turn tells the peers, so it must not wait.
        self.turn(Some(Time::ZERO))?;
        let patience = match stopped {
            true => DRAIN,
            false => COMPLETION.max(self.task.plan.timeout),
        };
        let late = self.wire.now() + patience;
        // Peers that still connect join first, and leave again. The user may end this wait, too.
        self.turn_until(late, |worker| {
            worker.wire.peers().remain() == 0 || !stopped && worker.is_stopped()
        })?;
        let now = self.wire.now();
        if !self.is_stopped() {
            self.wire.peers().give_up(now);
        }
        Ok(())
    }

    /// Loads until `time`, or until the run is over.
    fn until(&mut self, time: Time) -> Result<(), Error> {
        while self.wire.now() < time && !self.is_over() {
            let now = self.wire.now();
            if now >= self.paused {
                let wanted = self.wire.peers().workload().wanted(now);
                self.connect(wanted)?;
            }
            self.turn(Some(time))?;
        }
        Ok(())
    }

    /// Turns until it is `done`, or `late`.
    fn turn_until(
        &mut self,
        late: Time,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> Result<(), Error> {
        while !done(self) && self.wire.now() < late {
            self.turn(Some(late))?;
        }
        Ok(())
    }

    /// One turn, which waits until something happens, is due, or `at_most`.
    fn turn(&mut self, at_most: Option<Time>) -> Result<(), Error> {
        let now = self.wire.now();
        let due = self.wire.peers().workload().next_due(now);
        let due = due.map(|due| due.max(self.paused));
        // It stays the same for many turns, so that not each of them sets a timer.
        if now >= self.look {
            self.look = now + LOOK_STOPPED;
        }
        let until = [due, at_most, Some(self.look)];
        let until = until.into_iter().flatten().min().unwrap_or(now);
        self.wire.turn(until)?;
        let late = self.wire.now().since(until.max(now));
        let peers = self.wire.peers();
        peers.meter().stalled(late);
        let (present, failed) = (peers.present() as u64, peers.attendance().failed);
        let done = match self.task.plan.kind {
            // A sink confirms only at the end.
            Kind::Sink => peers.meter().sent_so_far,
            _ => peers.meter().answered_so_far,
        };
        self.task.gauge.peers.store(present, Ordering::Relaxed);
        self.task.gauge.failed.store(failed, Ordering::Relaxed);
        self.task.gauge.done.store(done, Ordering::Relaxed);
        Ok(())
    }

    /// Begins `count` more connections.
    fn connect(&mut self, count: usize) -> Result<(), Error> {
        for _ in 0..count {
            self.begun += 1;
            let now = self.wire.now();
            let (peer, failure) = match self.sources.connect(|from| self.wire.connect(from)) {
                Ok(peer) => (peer, None),
                Err(why) if !self.loads => return Err(Error::Local(why)),
                // A connection of the load has failed, and the next would as well.
                Err(why) => {
                    self.paused = now + CONNECT_PAUSE;
                    (UNNAMED, Some(why))
                }
            };
            let peers = self.wire.peers();
            peers.begin(now, peer);
            if let Some(why) = failure {
                peers.left(now, peer, Err(why));
                break;
            }
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.task.ending.is_stopped()
    }

    /// Whether the run is over. A thread without peers goes on while others have some: what is
    /// due to its peers is due until the end.
    fn is_over(&mut self) -> bool {
        let churns = self.task.plan.kind == Kind::Churn;
        if !churns && !self.deserted && self.wire.peers().present() == 0 {
            self.deserted = true;
            self.task.ending.leave();
        }
        self.task.ending.at(self.wire.now()).is_some()
    }
}

/// How long to wait for an answer, which may take `timeout`; less if the user `stopped` the run.
fn drain(timeout: Duration, stopped: bool) -> Duration {
    if stopped { timeout.min(DRAIN) } else { timeout }
}
