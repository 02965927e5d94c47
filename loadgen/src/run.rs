//! A run: the server, threads that load it, and what is looked at meanwhile.
//!
//! Each thread has its share of the peers ([`crate::worker`]); here they are started,
//! told when to begin, and put together. In between the server's process is looked
//! at, at the same times as intervals end.

use std::io::{self, ErrorKind};
use std::iter;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use sealwire::crypto::kernel::Kernel;
use sealwire::limits::CONNECT_DEADLINE;
use sealwire::net::address::{host_and_port, why_not_connected};
use sealwire::net::clock::Clock;
use sealwire::time::Time;
use sealwire_cli::error::Error;
use sealwire_cli::kernel;
use socket2::{Domain, Socket, Type};

use crate::args::Target;
use crate::child::OwnServer;
use crate::crew::{Attendance, Crew};
use crate::ending::Ending;
use crate::interrupt::Interrupt;
use crate::limits::{
    ACCEPTED, HEAD_START, LISTEN, LOOK_TO_BEGIN, REDRAW, ROW, ROWS, SERVER_LEAVES, SHORT_ROW,
};
use crate::pattern::Pattern;
use crate::plan::{Kind, Plan};
use crate::progress::{Progress, Standing};
use crate::results::{Results, ServerUse, Tally, Usage};
use crate::rows::Rows;
use crate::sample::Process;
use crate::schedule::Window;
use crate::server::Service;
use crate::sources::{Sources, is_taken};
use crate::times;
use crate::worker::{Done, Gauge, Said, Task, Worker};
use crate::workload::{self, Share};
use crate::{crypto_cost, wire};

/// Runs `plan` against `server`, or one of its own, and says what came of it. From when
/// it measures there is something to report if the user interrupts it.
///
/// # Errors
///
/// What kept it from running: no server, or none that takes a single peer. What
/// goes wrong once peers have joined is in the results. That the user wanted it to end
/// before it measured, where an earlier run is to be reported.
pub(crate) fn run(
    plan: &Plan,
    server: Option<&Target>,
    interrupt: &Interrupt,
    progress: Progress,
) -> Result<Results, Error> {
    // Before a server is started, which could only say the same.
    let kernel = kernel::chosen()?;
    let (mut own, started);
    let server = match server {
        Some(server) => {
            own = None;
            server
        }
        None => {
            let (child, server) = OwnServer::start(Service::of(plan), interrupt)?;
            (own, started) = (Some(child), server);
            &started
        }
    };
    let process = server.pid.and_then(Process::of);
    if let Some(pid) = server.pid.filter(|_| process.is_none() && own.is_none()) {
        let text = format!(
            "--server-pid: the CPU time of process {pid} cannot be read; if sealwire does not \
             run as root, start it with --allow-core-dumps"
        );
        return Err(Error::Local(text));
    }
    // Before any peer comes, the one that looks for an address too.
    let watched = process.and_then(Watched::new);
    let address = find(server, plan)?;
    let pattern = Pattern::new(plan.size);
    let context = wire::Context {
        plan,
        server,
        address,
        kernel,
        pattern,
        clock: Clock::start(),
    };
    let mut run = Run::start(&context, watched, interrupt, progress)?;
    let window = run.begin(address)?;
    let done = run.watch(window, interrupt)?;
    let mut results = run.results(address, kernel, window, done);
    results.crypto = crypto_cost::measure(plan, &results);
    results.own_server = own.is_some();
    if results.failed > 0
        && let Some(status) = own.as_mut().and_then(|own| own.ended(SERVER_LEAVES))
    {
        let text = format!("the server that was started ended early: {status}");
        *results.errors.entry(text).or_default() += 1;
    }
    Ok(results)
}

/// The first address of the server that takes a connection, from where peers connect.
fn find(server: &Target, plan: &Plan) -> Result<SocketAddr, Error> {
    let Target { host, port, .. } = server;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = (bare, *port)
        .to_socket_addrs()
        .map_err(|error| Error::Local(format!("cannot resolve {host}: {error}")))?;
    let mut sources = Sources::new(&plan.sources, 0, 1);
    let mut told = format!("{host} has no address");
    for address in addresses {
        // Another source, or port of it, helps against some errors alone.
        let connected = sources.connect(|from| match connect(address, from) {
            Err(error) if is_taken(&error) => Err(error),
            other => Ok(other),
        });
        told = match connected {
            Ok(Ok(())) => return Ok(address),
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
                let address = host_and_port(address);
                format!("{address} refused the connection: is the server running?")
            }
            Ok(Err(error)) => {
                let why = why_not_connected(address, &error);
                format!("cannot connect to {host} port {port}: {why}")
            }
            Err(why) => why,
        };
    }
    Err(Error::Local(told))
}

/// Connects to `address`, and waits until that is done.
fn connect(address: SocketAddr, from: Option<SocketAddr>) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if let Some(from) = from {
        // A connection that has just ended may still have it.
        socket.set_reuse_address(true)?;
        socket.bind(&from.into())?;
    }
    socket.connect_timeout(&address.into(), CONNECT_DEADLINE)
}

/// Nobody is told of it: whoever asked for it gets the report of other runs.
pub(crate) fn interrupted() -> Error {
    Error::Local("it was interrupted before it measured anything".into())
}

/// How long an interval is.
fn row(plan: &Plan) -> Duration {
    (plan.duration / ROWS).clamp(SHORT_ROW, ROW)
}

/// A server that can be looked at.
struct Watched {
    process: Process,
    /// What it had used before any peer came.
    empty: Usage,
}

impl Watched {
    fn new(process: Process) -> Option<Self> {
        let empty = process.usage()?;
        Some(Self { process, empty })
    }
}

/// A run under way.
struct Run<'a> {
    plan: &'a Plan,
    clock: Clock,
    ending: Arc<Ending>,
    watched: Option<Watched>,
    /// What the server had used when measuring began, when each interval ended, and when
    /// all was over.
    looks: Vec<Option<Usage>>,
    said: Receiver<Result<Said, Error>>,
    begin: Vec<Sender<Window>>,
    gauges: Vec<Arc<Gauge>>,
    began: Time,
    attendance: Attendance,
    handshakes_took: Duration,
    rows: Rows,
    progress: Progress,
}

impl<'a> Run<'a> {
    /// Starts the threads, whose peers begin to connect.
    fn start(
        context: &wire::Context<'a>,
        watched: Option<Watched>,
        interrupt: &Interrupt,
        mut progress: Progress,
    ) -> Result<Self, Error> {
        let (plan, clock) = (context.plan, context.clock);
        let ending = Arc::new(Ending::new(plan.threads, interrupt.asked()));
        progress.phase("joining");
        let began = clock.now();
        // Only threads keep one to say with: else a wait for them would never end.
        let (say, said) = mpsc::channel();
        let (mut begin, mut gauges) = (Vec::new(), Vec::new());
        for thread in 0..plan.threads {
            let share = Share::new(plan, thread);
            let workload = workload::new(plan, &context.pattern, share);
            let wire = wire::open(context, Crew::new(workload))?;
            let (to_begin, heard) = mpsc::channel();
            let gauge = Arc::new(Gauge::default());
            let task = Task {
                plan: plan.clone(),
                share,
                row: row(plan),
                gauge: gauge.clone(),
                ending: ending.clone(),
                say: say.clone(),
                begin: heard,
            };
            begin.push(to_begin);
            gauges.push(gauge);
            thread::Builder::new()
                .name(format!("load {thread}"))
                .spawn(move || Worker::work(task, wire))
                .map_err(|error| Error::Local(format!("cannot start a thread: {error}")))?;
        }
        Ok(Self {
            plan,
            clock,
            ending,
            watched,
            looks: Vec::new(),
            said,
            begin,
            gauges,
            began,
            attendance: Attendance::default(),
            handshakes_took: Duration::ZERO,
            rows: Rows::new(plan.threads),
            progress,
        })
    }

    // ---- phases ------------------------------------------------------------

    /// Waits for all threads' peers, and has them begin.
    fn begin(&mut self, address: SocketAddr) -> Result<Window, Error> {
        let mut last = self.began;
        for _ in 0..self.plan.threads {
            let joining = loop {
                match self.listen(REDRAW)? {
                    Some(Said::Joined(joining)) => break joining,
                    Some(_) => unreachable!("nothing else is said before"),
                    None if self.ending.is_stopped() => return Err(interrupted()),
                    None => {}
                }
            };
            last = last.max(joining.last);
            self.attendance.add(joining.attendance);
        }
        self.handshakes_took = last.since(self.began);
        let failures = &self.attendance.errors;
        if let Some((why, _)) = failures.iter().max_by_key(|(_, count)| **count)
            && self.attendance.joined == 0
        {
            let address = host_and_port(address);
            return Err(Error::Local(format!("{address}: {why}")));
        }
        if self.plan.kind == Kind::Fanout {
            self.wait_for_server();
        }
        let window = Window::new(self.plan, self.clock.now() + HEAD_START);
        for begin in &self.begin {
            // One that has failed says so itself.
            let _ = begin.send(window);
        }
        Ok(window)
    }

    /// Waits until the server has accepted all who joined, as far as its descriptors
    /// tell: TCP connects without it, and what is published before then is not for all.
    /// Where they cannot be seen, or it takes too long, that counts as lost.
    fn wait_for_server(&self) {
        let late = self.clock.now() + ACCEPTED;
        while let Some(Watched { process, empty }) = &self.watched
            && let Some(now) = process.usage()
            && now.descriptors < empty.descriptors + self.attendance.joined
            && self.clock.now() < late
            && !self.ending.is_stopped()
        {
            thread::sleep(LOOK_TO_BEGIN);
        }
    }

    /// Looks at the server now and then, until all threads are done.
    fn watch(&mut self, window: Window, interrupt: &Interrupt) -> Result<Vec<Done>, Error> {
        self.progress.phase("warming up");
        let row = row(self.plan);
        // When measuring begins, when each interval ends, and when the load does.
        let next = |at: &Time| (*at < window.end).then(|| (*at + row).min(window.end));
        let mut looks = iter::successors(Some(window.measure), next).peekable();
        let mut done = Vec::new();
        while done.len() < self.plan.threads {
            let now = self.clock.now();
            if let Some(at) = looks.next_if(|at| *at <= now) {
                if self.looks.is_empty() {
                    interrupt.report();
                }
                self.look();
                self.progress.phase(if at < window.end {
                    "measuring"
                } else {
                    "waiting for the last replies"
                });
            }
            if self.ending.is_stopped() {
                if self.looks.is_empty() {
                    return Err(interrupted());
                }
                let phase = "interrupted, waiting for the last replies";
                self.progress.phase(phase);
            }
            let next = looks.peek().map_or(REDRAW, |at| at.since(now));
            let wait = next.clamp(LISTEN, REDRAW);
            match self.listen(wait)? {
                Some(Said::Interval(interval)) => self.rows.add(&interval),
                Some(Said::Done(one)) => {
                    self.rows.leave(one.intervals);
                    done.push(*one);
                }
                Some(Said::Joined(_)) | None => {}
            }
        }
        // A stream is measured until it is confirmed; others may have ended early.
        if self.plan.kind == Kind::Sink || looks.peek().is_some() {
            self.look();
        }
        Ok(done)
    }

    fn look(&mut self) {
        let usage = self.watched.as_ref().and_then(|one| one.process.usage());
        self.looks.push(usage);
    }

    /// What a thread says, within a time.
    fn listen(&mut self, at_most: Duration) -> Result<Option<Said>, Error> {
        let total = |of: fn(&Gauge) -> u64| self.gauges.iter().map(|gauge| of(gauge)).sum();
        self.progress.show(Standing {
            peers: total(|gauge| gauge.peers.load(Ordering::Relaxed)),
            failed: total(|gauge| gauge.failed.load(Ordering::Relaxed)),
            done: total(|gauge| gauge.done.load(Ordering::Relaxed)),
        });
        match self.said.recv_timeout(at_most) {
            Ok(said) => said.map(Some),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Error::Local("a thread of the load tester is gone".into()))
            }
        }
    }

    // ---- what came of it ---------------------------------------------------

    fn results(
        self,
        address: SocketAddr,
        kernel: Kernel,
        window: Window,
        done: Vec<Done>,
    ) -> Results {
        let mut tally = Tally::new();
        let (mut attendance, mut handshake) = (Attendance::default(), times::histogram());
        let (mut took, mut loaded) = (Duration::ZERO, Duration::ZERO);
        let mut threads = Vec::new();
        for one in done {
            tally += &one.tally;
            attendance.add(one.attendance);
            handshake += &one.handshakes;
            took = took.max(one.took);
            loaded = loaded.max(one.loaded);
            threads.push(one.used);
        }
        let server = match (self.watched, self.looks.first(), self.looks.last()) {
            (Some(watched), Some(&Some(before)), Some(&Some(after))) => Some(ServerUse {
                empty: watched.empty,
                before,
                after,
            }),
            _ => None,
        };
        Results {
            address,
            own_server: false,
            kernel,
            took,
            loaded,
            tally,
            rows: self.rows.finish(&self.looks),
            threads,
            server,
            crypto: None,
            joined: attendance.joined,
            complete: attendance.complete,
            failed: attendance.failed,
            handshakes_took: self.handshakes_took,
            handshake,
            errors: attendance.errors,
            interrupted: self.ending.is_stopped(),
            ended_early: self.ending.was_early(window.end),
        }
    }
}
