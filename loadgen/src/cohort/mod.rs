//! Misbehaving peers, which load the server beside the good ones that are measured.
//!
//! [`Wanted`] is what was asked for: groups of peers, each of one [`kind`]. They run on one thread
//! ([`crowd`]), each as an [`actor`], from the beginning of the load to its end. The results are
//! an [`account`] for each group, judged by what should have happened ([`expect`]). When which
//! runs take place is up to [`crate::with_cohort`].

pub(crate) mod account;
mod actor;
mod crowd;
mod expect;
mod holder;
pub(crate) mod kind;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use sealwire::{Clock, Identity, Kernel, Time};
use sealwire_cli::error::Error;
use serde::Serialize;

use self::account::Account;
use self::actor::Scene;
use self::crowd::Crowd;
use self::kind::Group;
use crate::load::sources::Sources;
use crate::measure::results::ThreadUse;
use crate::measure::sample;
use crate::plan::ServerMode;
use crate::values::source;

/// The cohort that was asked for.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "Cohort of misbehaving peers")]
pub(crate) struct Wanted {
    /// Add N peers at once that misbehave as KIND says, and compare with a run without
    /// them; @RATE/s bounds how many come in a second. Kinds: silent, drip, half-hello,
    /// bad-hello, replay-hello, slow-reader, slow-writer, ping-flood, bad-tag, oversize,
    /// huge-message, reset-mid-record
    #[arg(long = "cohort", value_name = "KIND:N[@RATE/s]", value_delimiter = ',')]
    #[serde(rename = "groups")]
    pub(crate) groups: Vec<Group>,
    /// Compare also with a run in which they go to a plain server, which reads 80 bytes of
    /// each and closes; for bad-hello and replay-hello at a RATE
    #[arg(long = "cohort-control")]
    pub(crate) control: bool,
    /// Address that they come from [default: those of the good peers]
    #[arg(
        id = "bad_sources",
        long = "cohort-source-ip",
        value_name = "IP",
        value_delimiter = ',',
        value_parser = source
    )]
    #[serde(skip)]
    pub(crate) sources: Vec<SocketAddr>,
    /// How many times to run without and with them.
    #[arg(skip)]
    #[serde(skip)]
    pub(crate) rounds: usize,
}

impl Wanted {
    /// How many peers there are at once.
    pub(crate) fn peers(&self) -> usize {
        self.groups.iter().map(|group| group.count).sum()
    }
}

/// Where a cohort goes, and what it needs for it.
pub(crate) struct Goal {
    pub(crate) address: SocketAddr,
    pub(crate) identity: Arc<Identity>,
    pub(crate) kernel: Kernel,
    /// What the server does with messages.
    pub(crate) mode: ServerMode,
    pub(crate) clock: Clock,
    pub(crate) end: Time,
}

/// What came of a cohort.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) accounts: Vec<Account>,
    /// What its thread had of processors.
    pub(crate) used: ThreadUse,
}

/// A cohort that runs. Dropping this ends it.
pub(crate) struct Cohort {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Outcome, Error>>>,
}

impl Cohort {
    /// Begins it, from `sources` where none were asked for.
    pub(crate) fn begin(
        wanted: &Wanted,
        sources: &[SocketAddr],
        goal: Goal,
    ) -> Result<Self, Error> {
        let sources = match wanted.sources.is_empty() {
            true => sources,
            false => &wanted.sources,
        };
        let sources = Sources::new(sources, 0, 1);
        let accounts = wanted.groups.iter().map(|&group| Account::new(group));
        let accounts: Vec<_> = accounts.collect();
        let stop = Arc::<AtomicBool>::default();
        let stopped = stop.clone();
        let work = move || {
            let Goal { clock, end, .. } = goal;
            let scene = Scene::new(goal.identity, goal.kernel, goal.mode);
            let crowd = Crowd::new(accounts, goal.address, sources, scene, clock);
            let accounts = crowd.and_then(|crowd| crowd.run(end, &stopped));
            let accounts = accounts
                .map_err(|error| Error::Local(format!("the cohort cannot wait: {error}")))?;
            let used = sample::thread_use();
            Ok(Outcome { accounts, used })
        };
        let thread = thread::Builder::new().name("cohort".into()).spawn(work);
        let thread =
            thread.map_err(|error| Error::Local(format!("cannot start a thread: {error}")))?;
        let thread = Some(thread);
        Ok(Self { stop, thread })
    }

    /// Ends it, and returns what came of it.
    pub(crate) fn end(mut self) -> Result<Outcome, Error> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it is joined once");
        let joined = thread.join();
        joined.unwrap_or_else(|_| Err(Error::Local("the cohort's thread panicked".into())))
    }
}

impl Drop for Cohort {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The error that ended the run is reported instead.
            let _ = thread.join();
        }
    }
}
