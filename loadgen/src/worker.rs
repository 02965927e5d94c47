//! A thread of the generator: takes its share of the peers through a run, over one
//! wire, and measures.
//!
//! Its peers join; it waits for the word to begin; it sends until the time is over;
//! it waits for what is under way; its peers finish. What is sent is a
//! [`Workload`](crate::workload::Workload)'s; who starts threads and puts together
//! what they say, is [`crate::run`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::Duration;

use hdrhistogram::Histogram;
use sealwire::endpoint::transport::PeerId;
use sealwire::time::Time;
use sealwire_cli::error::Error;

use crate::crew::Attendance;
use crate::ending::Ending;
use crate::limits::{COMPLETION, CONNECT_PAUSE, DRAIN, HANDSHAKES_AT_ONCE, LOOK_TO_BEGIN, REDRAW};
use crate::plan::{Kind, Plan};
use crate::results::{Tally, ThreadUse};
use crate::sample;
use crate::schedule::Window;
use crate::sources::Sources;
use crate::wire::Wire;
use crate::workload::Share;

/// Who could not even begin to connect. Wires number their peers from the other end.
const NOBODY: PeerId = PeerId::from_u64(u64::MAX);

/// What a thread says.
pub(crate) enum Said {
    /// All of its peers have joined or failed.
    Joined(Joining),
    /// An interval of the measured time is over.
    Interval(Interval),
    /// All is over.
    Done(Box<Done>),
}

/// How peers joined.
pub(crate) struct Joining {
    pub(crate) attendance: Attendance,
    /// When the last one did.
    pub(crate) last: Time,
}

/// What came in an interval.
pub(crate) struct Interval {
    pub(crate) index: usize,
    /// When it ended, since measuring began, and how long it was: less than the
    /// others if the run ended within it.
    pub(crate) until: Duration,
    pub(crate) took: Duration,
    pub(crate) responses: Histogram<u64>,
    pub(crate) done: u64,
    pub(crate) sent: u64,
    pub(crate) peers: u64,
    /// Processor time of this thread.
    pub(crate) used: Duration,
}

/// What came of a thread's share.
pub(crate) struct Done {
    pub(crate) tally: Tally,
    pub(crate) attendance: Attendance,
    /// The handshakes that came later, too.
    pub(crate) handshakes: Histogram<u64>,
    /// How many intervals it told of.
    pub(crate) intervals: usize,
    /// How long was measured.
    pub(crate) took: Duration,
    /// How much of that was load, and what this thread had in it.
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

/// What a thread is given.
pub(crate) struct Task {
    pub(crate) plan: Plan,
    pub(crate) share: Share,
    /// How long an interval is.
    pub(crate) row: Duration,
    pub(crate) gauge: Arc<Gauge>,
    /// Whether the run is over before its time.
    pub(crate) ending: Arc<Ending>,
    /// What it says, or why it cannot go on.
    pub(crate) say: Sender<Result<Said, Error>>,
    pub(crate) begin: Receiver<Window>,
}

/// What a thread has answered, sent and used since it began.
struct SoFar {
    answered: u64,
    sent: u64,
    used: Duration,
}

/// A thread's work.
pub(crate) struct Worker {
    task: Task,
    wire: Box<dyn Wire + Send>,
    begun: usize,
    sources: Sources,
    /// When it is time to show how it stands, though nothing happens.
    redraw: Time,
    /// No connection is begun before.
    paused: Time,
    /// The load has begun.
    loads: bool,
    /// All of its peers are gone, and it has said so.
    deserted: bool,
}

impl Worker {
    /// Does `task` over `wire`, and says how it goes.
    pub(crate) fn work(task: Task, wire: Box<dyn Wire + Send>) {
        let say = task.say.clone();
        let worker = Self {
            sources: Sources::new(&task.plan.sources, task.share.thread, task.plan.threads),
            task,
            wire,
            begun: 0,
            redraw: Time::ZERO,
            paused: Time::ZERO,
            loads: false,
            deserted: false,
        };
        // Nothing of a worker that panicked is looked at again; but if it said nothing,
        // it would be waited for.
        let said = match catch_unwind(AssertUnwindSafe(|| worker.run())) {
            Ok(Ok(Some(done))) => Ok(Said::Done(Box::new(done))),
            Ok(Ok(None)) => return,
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::Local("a thread of the load tester panicked".into())),
        };
        // Who does not listen any more does not want to know.
        let _ = say.send(said);
    }

    fn run(mut self) -> Result<Option<Done>, Error> {
        self.join()?;
        let Some(window) = self.wait()? else {
            return Ok(None);
        };
        self.wire.crew().workload().begin(window);
        self.loads = true;
        self.until(window.measure)?;
        let used = sample::thread_use();
        let intervals = self.measure(window)?;
        let used = sample::thread_use().since(used);
        let now = self.wire.now();
        let ended = self.task.ending.at(now).unwrap_or(now);
        let loaded = ended.min(window.end).since(window.measure);
        self.end()?;
        let now = self.wire.now();
        let crew = self.wire.crew();
        Ok(Some(Done {
            tally: crew.workload().tally(),
            attendance: crew.attendance().clone(),
            handshakes: crew.handshakes().0.clone(),
            intervals,
            took: crew.workload().took(now).unwrap_or(loaded),
            loaded,
            used,
        }))
    }

    // ---- phases ------------------------------------------------------------

    /// Has all peers connect and join. Where that itself is the load, only one, to see
    /// whether they can; it leaves again, and is none of those that are told of.
    fn join(&mut self) -> Result<(), Error> {
        let wanted = match self.task.plan.kind {
            Kind::Churn => 1,
            _ => self.task.share.peers,
        };
        let at_once = (HANDSHAKES_AT_ONCE / self.task.plan.threads).max(1);
        while self.begun < wanted || self.wire.crew().connecting() > 0 {
            let waiting = self.wire.crew().connecting();
            let most = wanted.min(self.begun + at_once.saturating_sub(waiting));
            self.connect(most - self.begun)?;
            self.turn(None)?;
            if self.is_stopped() {
                break;
            }
        }
        let churns = self.task.plan.kind == Kind::Churn;
        let late = self.wire.now() + COMPLETION;
        while churns && self.wire.crew().remain() > 0 && !self.is_stopped() {
            if self.wire.now() >= late {
                break;
            }
            self.turn(Some(late))?;
        }
        let crew = self.wire.crew();
        let joining = Joining {
            attendance: crew.attendance().clone(),
            last: crew.handshakes().1,
        };
        if churns {
            crew.forget();
        }
        let _ = self.task.say.send(Ok(Said::Joined(joining)));
        Ok(())
    }

    /// Waits for the word to begin; without one, nobody wants to know any more.
    fn wait(&mut self) -> Result<Option<Window>, Error> {
        loop {
            match self.task.begin.try_recv() {
                Ok(window) => return Ok(Some(window)),
                Err(TryRecvError::Disconnected) => return Ok(None),
                Err(TryRecvError::Empty) => {}
            }
            let soon = self.wire.now() + LOOK_TO_BEGIN;
            self.turn(Some(soon))?;
        }
    }

    /// Measures, interval by interval; says how many there were.
    fn measure(&mut self, window: Window) -> Result<usize, Error> {
        // What the warm-up brought is none of it.
        self.wire.crew().meter().take_recent();
        let mut before = self.so_far();
        let (mut index, mut until) = (0, window.measure);
        while until < window.end && !self.is_over() {
            let from = until;
            until = (until + self.task.row).min(window.end);
            self.until(until)?;
            let ended = until.min(self.wire.now());
            let now = self.so_far();
            let crew = self.wire.crew();
            let interval = Interval {
                index,
                until: ended.since(window.measure),
                took: ended.since(from),
                responses: crew.meter().take_recent(),
                done: now.answered - before.answered,
                sent: now.sent - before.sent,
                peers: crew.present() as u64,
                used: now.used.saturating_sub(before.used),
            };
            before = now;
            index += 1;
            let _ = self.task.say.send(Ok(Said::Interval(interval)));
        }
        Ok(index)
    }

    fn so_far(&mut self) -> SoFar {
        let meter = self.wire.crew().meter();
        SoFar {
            answered: meter.answered_so_far,
            sent: meter.sent_so_far,
            used: sample::thread_time(),
        }
    }

    /// Waits for what is under way, then for peers to be complete.
    fn end(&mut self) -> Result<(), Error> {
        let now = self.wire.now();
        if let Some(ended) = self.task.ending.at(now) {
            self.wire.crew().meter().close(ended);
        }
        while self.wire.crew().meter().under_way() > 0 {
            let late = now + drain(self.task.plan.timeout, self.is_stopped());
            if self.wire.now() >= late {
                break;
            }
            self.turn(Some(late))?;
        }
        let (now, stopped) = (self.wire.now(), self.is_stopped());
        self.wire.crew().workload().stop(now, stopped);
        self.wire.crew().finish();
        // The crew hears of it in the next turn, and that is not to wait.
        self.turn(Some(Time::ZERO))?;
        let late = self.wire.now() + COMPLETION.max(drain(self.task.plan.timeout, stopped));
        // Who was stopped on its way here comes yet, and leaves again.
        while self.wire.crew().remain() > 0 && self.wire.now() < late {
            self.turn(Some(late))?;
        }
        let now = self.wire.now();
        self.wire.crew().give_up(now);
        Ok(())
    }

    // ---- turns -------------------------------------------------------------

    /// Goes on until `time`, or until the run is over.
    fn until(&mut self, time: Time) -> Result<(), Error> {
        while self.wire.now() < time && !self.is_over() {
            let now = self.wire.now();
            if now >= self.paused {
                let wanted = self.wire.crew().workload().wanted(now);
                self.connect(wanted)?;
            }
            self.turn(Some(time))?;
        }
        Ok(())
    }

    /// One turn, which waits until something happens, is due, or `at_most`.
    fn turn(&mut self, at_most: Option<Time>) -> Result<(), Error> {
        let now = self.wire.now();
        let due = self.wire.crew().workload().next_due();
        let due = due.map(|due| due.max(self.paused));
        // It stays the same for many turns, so that no timer is set anew in each.
        if now >= self.redraw {
            self.redraw = now + REDRAW;
        }
        let until = [due, at_most, Some(self.redraw)];
        let until = until.into_iter().flatten().min().unwrap_or(now);
        self.wire.turn(until)?;
        let crew = self.wire.crew();
        let (peers, failed) = (crew.present() as u64, crew.attendance().failed);
        let done = match self.task.plan.kind {
            // What is confirmed at the end is not known before.
            Kind::Sink => crew.meter().sent_so_far,
            _ => crew.meter().answered_so_far,
        };
        self.task.gauge.peers.store(peers, Ordering::Relaxed);
        self.task.gauge.failed.store(failed, Ordering::Relaxed);
        self.task.gauge.done.store(done, Ordering::Relaxed);
        Ok(())
    }

    /// Has `count` more peers connect.
    fn connect(&mut self, count: usize) -> Result<(), Error> {
        for _ in 0..count {
            self.begun += 1;
            let now = self.wire.now();
            let (peer, failure) = match self.sources.connect(|from| self.wire.connect(from)) {
                Ok(peer) => (peer, None),
                Err(why) if !self.loads => return Err(Error::Local(why)),
                // It is one of the load's connections, though it has no name. The next
                // would fare no better, and fail at once.
                Err(why) => {
                    self.paused = now + CONNECT_PAUSE;
                    (NOBODY, Some(why))
                }
            };
            let crew = self.wire.crew();
            crew.begin(now, peer);
            if let Some(why) = failure {
                crew.left(now, peer, Err(why));
                break;
            }
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.task.ending.is_stopped()
    }

    /// Whether nothing more is to be had from going on. Who has no peers any more goes on
    /// while others have: what is due to those that left is due until the run is over.
    fn is_over(&mut self) -> bool {
        let churns = self.task.plan.kind == Kind::Churn;
        if !churns && !self.deserted && self.wire.crew().present() == 0 {
            self.deserted = true;
            self.task.ending.leave();
        }
        self.task.ending.at(self.wire.now()).is_some()
    }
}

/// How long answers are waited for that may take `timeout`, by a user who has `stopped`
/// the run or not.
pub(crate) fn drain(timeout: Duration, stopped: bool) -> Duration {
    if stopped { timeout.min(DRAIN) } else { timeout }
}

#[cfg(test)]
mod tests;
