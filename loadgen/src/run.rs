//! A run: the server, the threads that load it, and the channels to them.
//!
//! Each thread has its share of the peers. A run starts the threads, tells them when to begin, and
//! adds up their reports. It samples the server's process at the end of each interval. Read next:
//! [`crate::load::worker`].

use std::iter;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use sealwire::net::address::host_and_port;
use sealwire::{Clock, Kernel, Time};
use sealwire_cli::error::Error;
use sealwire_cli::kernel;

use crate::child::OwnServer;
use crate::interrupt::{Interrupt, interrupted};
use crate::limits::{
    ACCEPTED, HEAD_START, INTERVAL, INTERVALS, LEAST_MEASURED, LISTEN, LOOK_TO_BEGIN, REDRAW,
    SERVER_LEAVES, SHORT_INTERVAL,
};
use crate::load::ending::Ending;
use crate::load::pattern::Pattern;
use crate::load::peers::Peers;
use crate::load::sealed::Sealed;
use crate::load::worker::{Gauge, Task, ThreadReport, ThreadResults, Worker};
use crate::load::workload::{self, Share};
use crate::load::{RunSetup, Wire, sources};
use crate::measure::crypto_cost;
use crate::measure::freezes::freezes;
use crate::measure::intervals::Intervals;
use crate::measure::meter::Window;
use crate::measure::quantile;
use crate::measure::results::{Attendance, Results, Sample, ServerUse, Tally, Usage};
use crate::measure::sample::{self, Process};
use crate::plan::{Kind, Plan, Service, Target, Transport};
use crate::report::progress::Progress;
use crate::rivals::{Client, Plain};
#[cfg(feature = "tls")]
use crate::rivals::{TlsClient, certificate};

/// Runs `plan` against `server`, or one of its own, and returns the results. Once it measures,
/// an interrupt asks for a report. An error says what kept it from measuring; what goes wrong once
/// peers have joined is in the results.
pub(crate) fn run(
    plan: &Plan,
    server: Option<&Target>,
    interrupt: &Interrupt,
    progress: Progress,
) -> Result<Results, Error> {
    Host::of(plan, server, interrupt)?
        .run(plan, interrupt, progress, |_, _| Ok(()))
        .map(|(results, ())| results)
}

/// The server of a run, or of several: one that was given, or one of our own.
pub(crate) struct Host<'a> {
    kernel: Kernel,
    given: Option<&'a Target>,
    own: Option<(OwnServer, Target)>,
}

impl<'a> Host<'a> {
    pub(crate) fn of(
        plan: &Plan,
        given: Option<&'a Target>,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        // Checked before a server is started, which could only report the same.
        let kernel = kernel::chosen()?;
        let own = match given {
            Some(_) => None,
            None => Some(OwnServer::start(Service::of(plan), interrupt)?),
        };
        Ok(Self { kernel, given, own })
    }

    /// Runs `plan`, which needs the same service as the first one. When the load begins, calls
    /// `beside`, whose value it keeps until the load is over and then returns.
    pub(crate) fn run<T>(
        &mut self,
        plan: &Plan,
        interrupt: &Interrupt,
        progress: Progress,
        beside: impl FnOnce(&RunSetup<'_>, Window) -> Result<T, Error>,
    ) -> Result<(Results, T), Error> {
        let started = self.own.as_ref().map(|(_, started)| started);
        let server = self.given.or(started).expect("one of both is there");
        // Before the first peer, and before `reach` connects.
        let watched = Watched::new(server, started.is_some())?;
        let address = sources::reach(server, plan)?;
        let setup = RunSetup {
            plan,
            server,
            address,
            kernel: self.kernel,
            pattern: Pattern::new(plan.size),
            clock: Clock::start(),
        };
        let mut run = Run::start(&setup, watched, interrupt, progress)?;
        run.join(address)?;
        let window = run.begin();
        let beside = beside(&setup, window)?;
        let done = run.watch(window, interrupt)?;
        let mut results = run.results(address, window, done);
        results.kernel = (plan.over == Transport::Sealed).then_some(self.kernel);
        results.own_server = self.own.is_some();
        results.crypto = crypto_cost::measure(&results);
        if results.peers.failed > 0
            && let Some((own, _)) = &mut self.own
            && let Some(status) = own.ended(SERVER_LEAVES)
        {
            let text = format!("the server that was started ended early: {status}");
            *results.peers.errors.entry(text).or_default() += 1;
        }
        Ok((results, beside))
    }
}

/// The wire that the plan wants, without connections, for `peers`.
fn open(setup: &RunSetup<'_>, peers: Peers) -> Result<Box<dyn Wire + Send>, Error> {
    let wire = match setup.plan.over {
        Transport::Sealed => Sealed::new(setup, peers).map(|wire| Box::new(wire) as _),
        Transport::Plain => Client::<Plain>::new(setup, (), peers).map(|wire| Box::new(wire) as _),
        #[cfg(feature = "tls")]
        Transport::Tls => {
            let tls = certificate::client(setup.server.certificate.as_deref())?;
            Client::<TlsClient>::new(setup, tls, peers).map(|wire| Box::new(wire) as _)
        }
    };
    wire.map_err(|error| Error::Local(format!("cannot wait for events: {error}")))
}

fn interval(plan: &Plan) -> Duration {
    (plan.duration / INTERVALS).clamp(SHORT_INTERVAL, INTERVAL)
}

struct Watched {
    process: Process,
    /// What the server had used before the first peer.
    empty: Usage,
}

impl Watched {
    fn new(server: &Target, own: bool) -> Result<Option<Self>, Error> {
        let process = server.pid.and_then(Process::of);
        if let Some(pid) = server.pid.filter(|_| process.is_none() && !own) {
            let text = format!(
                "--server-pid: the CPU time of process {pid} cannot be read; if sealwire does not \
                 run as root, start it with --allow-core-dumps"
            );
            return Err(Error::Local(text));
        }
        Ok(process.and_then(|process| {
            let empty = process.usage()?;
            Some(Self { process, empty })
        }))
    }
}

struct Run<'a> {
    plan: &'a Plan,
    clock: Clock,
    ending: Arc<Ending>,
    watched: Option<Watched>,
    /// What the server and the machine had used when measuring began, at the end of each interval, and at the end.
    samples: Vec<Sample>,
    /// Most memory of TCP that the system had at these times.
    tcp_memory: Option<u64>,
    reports: Receiver<Result<ThreadReport, Error>>,
    begin: Vec<Sender<Window>>,
    gauges: Vec<Arc<Gauge>>,
    began: Time,
    joined: u64,
    handshakes_took: Duration,
    intervals: Intervals,
    progress: Progress,
}

impl<'a> Run<'a> {
    /// Starts the threads, whose peers begin to connect.
    fn start(
        setup: &RunSetup<'a>,
        watched: Option<Watched>,
        interrupt: &Interrupt,
        mut progress: Progress,
    ) -> Result<Self, Error> {
        let plan = setup.plan;
        progress.phase("joining");
        // Only threads keep `sender`. Otherwise a wait for dead threads would never end.
        let (sender, reports) = mpsc::channel();
        let mut run = Self {
            plan,
            clock: setup.clock,
            ending: Arc::new(Ending::new(plan.threads, interrupt.asked())),
            watched,
            samples: Vec::new(),
            tcp_memory: None,
            reports,
            begin: Vec::new(),
            gauges: Vec::new(),
            began: setup.clock.now(),
            joined: 0,
            handshakes_took: Duration::ZERO,
            intervals: Intervals::new(plan.threads),
            progress,
        };
        for thread in 0..plan.threads {
            let (begin, heard) = mpsc::channel();
            let task = Task {
                plan: plan.clone(),
                share: Share::new(plan, thread),
                interval: interval(plan),
                gauge: Arc::default(),
                ending: run.ending.clone(),
                reports: sender.clone(),
                begin: heard,
            };
            run.begin.push(begin);
            run.gauges.push(task.gauge.clone());
            let workload = workload::new(plan, &setup.pattern, task.share);
            let mut wire = open(setup, Peers::new(workload))?;
            thread::Builder::new()
                .name(format!("load {thread}"))
                .spawn(move || Worker::work(task, &mut *wire))
                .map_err(|error| Error::Local(format!("cannot start a thread: {error}")))?;
        }
        Ok(run)
    }

    /// Waits until all threads' peers have joined or failed.
    fn join(&mut self, address: SocketAddr) -> Result<(), Error> {
        let (mut last, mut attendance) = (self.began, Attendance::default());
        let mut waiting = self.plan.threads;
        while waiting > 0 {
            match self.listen(REDRAW)? {
                Some(ThreadReport::Joined(joined, at)) => {
                    last = last.max(at);
                    attendance.add(joined);
                    waiting -= 1;
                }
                Some(_) => unreachable!("a thread joins first"),
                None if self.ending.is_stopped() => return Err(interrupted()),
                None => {}
            }
        }
        self.handshakes_took = last.since(self.began);
        self.joined = attendance.joined;
        match attendance.errors.iter().max_by_key(|(_, count)| **count) {
            Some((why, _)) if attendance.joined == 0 => {
                let address = host_and_port(address);
                Err(Error::Local(format!("{address}: {why}")))
            }
            _ => Ok(()),
        }
    }

    /// Tells all threads when to begin.
    fn begin(&mut self) -> Window {
        if self.plan.kind == Kind::Fanout {
            self.wait_for_server();
        }
        let window = Window::new(self.plan, self.clock.now() + HEAD_START);
        for begin in &self.begin {
            // A thread that has failed says so itself.
            let _ = begin.send(window);
        }
        window
    }

    /// Waits until the server has accepted all peers, by the number of its descriptors. The system
    /// connects TCP before the server accepts, and a message published before then would not reach
    /// all peers. If descriptors cannot be counted, or it takes too long, such messages count as
    /// lost.
    fn wait_for_server(&self) {
        let late = self.clock.now() + ACCEPTED;
        while let Some(Watched { process, empty }) = &self.watched
            && let Some(now) = process.usage()
            && now.descriptors < empty.descriptors + self.joined
            && self.clock.now() < late
            && !self.ending.is_stopped()
        {
            thread::sleep(LOOK_TO_BEGIN);
        }
    }

    /// Samples the server at its times, until all threads are done.
    fn watch(
        &mut self,
        window: Window,
        interrupt: &Interrupt,
    ) -> Result<Vec<ThreadResults>, Error> {
        self.progress.phase("warming up");
        let interval = interval(self.plan);
        // When measuring begins, when each interval ends, and when the load does.
        let next = |at: &Time| (*at < window.end).then(|| (*at + interval).min(window.end));
        let mut sample_times = iter::successors(Some(window.measure), next).peekable();
        let mut done = Vec::new();
        while done.len() < self.plan.threads {
            let now = self.clock.now();
            if let Some(at) = sample_times.next_if(|at| *at <= now) {
                if self.samples.is_empty() {
                    interrupt.report();
                }
                self.sample();
                self.progress.phase(match at < window.end {
                    true => "measuring",
                    false => "waiting for the last replies",
                });
            }
            if self.ending.is_stopped() {
                if self.samples.is_empty() || now < window.measure + LEAST_MEASURED {
                    return Err(interrupted());
                }
                let phase = "interrupted, waiting for the last replies";
                self.progress.phase(phase);
            }
            let next = sample_times.peek().map_or(REDRAW, |at| at.since(now));
            match self.listen(next.clamp(LISTEN, REDRAW))? {
                Some(ThreadReport::Interval(interval)) => self.intervals.add(&interval),
                Some(ThreadReport::Done(one)) => done.push(*one),
                Some(ThreadReport::Joined(..)) | None => {}
            }
        }
        // A stream is measured until it is confirmed; other runs may have ended early.
        if self.plan.kind == Kind::Sink || sample_times.peek().is_some() {
            self.sample();
        }
        Ok(done)
    }

    fn sample(&mut self) {
        self.samples.push(Sample {
            server: self.watched.as_ref().and_then(|one| one.process.usage()),
            machine: sample::machine_time(),
        });
        self.tcp_memory = self.tcp_memory.max(sample::tcp_memory());
    }

    /// The next report of a thread, within a time.
    fn listen(&mut self, at_most: Duration) -> Result<Option<ThreadReport>, Error> {
        let total = |of: fn(&Gauge) -> u64| self.gauges.iter().map(|gauge| of(gauge)).sum();
        self.progress.show(
            total(|gauge| gauge.peers.load(Ordering::Relaxed)),
            total(|gauge| gauge.failed.load(Ordering::Relaxed)),
            total(|gauge| gauge.done.load(Ordering::Relaxed)),
        );
        match self.reports.recv_timeout(at_most) {
            Ok(report) => report.map(Some),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Error::Local("a thread of the load tester is gone".into()))
            }
        }
    }

    fn results(self, address: SocketAddr, window: Window, done: Vec<ThreadResults>) -> Results {
        let of = |sample: Option<&Sample>| sample.and_then(|sample| sample.server);
        let ends = of(self.samples.first()).zip(of(self.samples.last()));
        let server = self
            .watched
            .zip(ends)
            .map(|(watched, (before, after))| ServerUse {
                empty: watched.empty,
                before,
                after,
            });
        let mut results = Results {
            plan: self.plan.clone(),
            address,
            own_server: false,
            kernel: None,
            took: Duration::ZERO,
            loaded: Duration::ZERO,
            tally: Tally::new(),
            intervals: self.intervals.finish(&self.samples),
            as_open_loop: None,
            freezes: Vec::new(),
            threads: Vec::new(),
            server,
            tcp_memory: self.tcp_memory,
            crypto: None,
            peers: Attendance::default(),
            handshakes_took: self.handshakes_took,
            handshake: quantile::histogram(),
            interrupted: self.ending.is_stopped(),
            ended_early: self.ending.was_early(window.end),
        };
        let mut silences = Vec::with_capacity(done.len());
        for one in done {
            silences.push(one.silences);
            results.tally += &one.tally;
            results.peers.add(one.attendance);
            results.handshake += &one.handshakes;
            results.took = results.took.max(one.took);
            results.loaded = results.loaded.max(one.loaded);
            results.threads.push(one.used);
        }
        results.freezes = freezes(&silences);
        results.as_open_loop = results.opened();
        results
    }
}
