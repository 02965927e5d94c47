//! The command line: as typed, then checked.
//!
//! clap gives each option its type. This module has the rules over several options, and refuses
//! what would exhaust the machine. A refusal is one line, names the option, and shows no value,
//! which may be a key in the wrong place. It opens no socket. Read next: [`crate::plan`].

use std::error::Error as _;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, Parser, ValueEnum as _};
use sealwire::limits::MAX_PAYLOAD;
use sealwire::net::rlimit::raise_descriptor_limit;
use sealwire::{Identity, Limits};
use sealwire_cli::args::{ENVIRONMENT, KeyArgs, usage_error};
use sealwire_cli::error::Error;
use sealwire_cli::manual::{self, Shell};
use sealwire_cli::typed_keys;

use crate::cohort::Wanted;
use crate::cohort::kind::BadKind;
use crate::judge::slo::Slo;
use crate::judge::sweep;
use crate::limits::{
    IDLE_EVERY, MAX_COHORT, MAX_IN_FLIGHT, MAX_PUBLISHERS, MAX_ROUNDS, MAX_SEARCH_ROUNDS,
    MAX_SWEEP_STEPS, MAX_THREADS, OTHER_DESCRIPTORS, PLACES, PLACES_IN_FLIGHT, SEARCH_ROUNDS,
    SWEEP_STEPS,
};
use crate::plan::{Kind, LOAD, Plan, Rate, SERVER, Service, Target, Transport};
use crate::report::Outputs;
use crate::values::{count, host_and_port, name, rates};

/// The hidden workload: to be the server.
pub(crate) const SERVE: &str = "serve";
/// What other programs ask for: a man page, and what shells complete.
const MAN: &str = "man";
const COMPLETIONS: &str = "completions";
/// The workload that runs another one over every transport.
const COMPARE: &str = "compare";
/// Rounds of that, unless others are asked for.
const ROUNDS: usize = 7;
/// What looks for the highest rate that meets bounds.
const SEARCH: &str = "search";
/// What runs a range of rates.
const SWEEP: &str = "sweep";

const EXAMPLES: &str = "\
Examples:
  loadgen                               64 peers echo 64 B, with a server of its own
  loadgen -s 16k -c 16 -p 4
  loadgen -r 50k --slo 'p99<1ms'        50,000 messages/s, whatever the server does
  loadgen sink -s 16k -c 8
  loadgen churn -c 32
  loadgen idle -c 5000
  loadgen compare -c 1000               the same over plain TCP, and what it costs
  loadgen search --slo 'p99<2ms'        the highest rate that meets that
  loadgen sweep --rates 10k..200k       latency at ten rates, and where it rises
  loadgen --rounds 7 --json old.json    the median of seven runs, and a file for later:
  loadgen --baseline old.json           better or worse than that file?
  loadgen -r 5k --cohort silent:1000 --cohort bad-hello:100@2000/s
                                        the same without and with misbehaving peers
  loadgen --to 127.0.0.1:9999 --keys keys -c 1000 -d 30 --json figures.json

Ctrl-C ends loadgen. While it measures, the first Ctrl-C prints a report of what was
measured so far.";

const EXIT_CODES: &str = "\
Exit codes: 0 fine, 1 could not run or could not write the report, 2 usage, 3 an --slo
was missed, 5 the figures are not valid (with --strict), 6 something was lost or wrong, a
peer failed, or a peer of a cohort was not ended as it should be, 7 worse than the
--baseline, 141 stdout was closed before it had the report, 128 + n ended by signal n,
with no report";

pub(crate) enum Command {
    Run(Box<Config>),
    /// To load over every transport in turn, in this many rounds.
    Compare(Box<Config>, usize),
    /// To load this many times.
    Repeat(Box<Config>, usize),
    /// To find the highest rate that meets the bounds, with this many runs of each.
    Search(Box<Config>, usize),
    /// To run each of these rates.
    Sweep(Box<Config>, Vec<f64>),
    /// To be the server, until stdin ends.
    Serve(Arc<Identity>, Service),
    Show(clap::Error),
    /// A text for other programs.
    Text(String),
}

impl Command {
    /// Whether it has keys that outlive the run, so that its memory must stay private.
    pub(crate) fn hides_keys(&self) -> bool {
        let holds = |to: &Target| to.identity.is_some();
        matches!(self, Self::Run(config) | Self::Repeat(config, _) | Self::Search(config, _)
            | Self::Sweep(config, _)
            if !config.allow_core_dumps && config.to.as_ref().is_some_and(holds))
    }
}

pub(crate) struct Config {
    pub(crate) plan: Plan,
    /// The server; without one we start our own.
    pub(crate) to: Option<Target>,
    pub(crate) slos: Vec<Slo>,
    /// Misbehaving peers, if there are to be some.
    pub(crate) cohort: Option<Wanted>,
    /// Debuggers and core dumps may see our memory, with its keys.
    pub(crate) allow_core_dumps: bool,
    pub(crate) outputs: Outputs,
    /// What to tell the user first, one line each.
    pub(crate) warnings: Vec<String>,
}

/// Loads a sealwire server, checks every reply, and reports what it can do.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, after_help = format!("{ENVIRONMENT}\n\n{EXAMPLES}\n\n{EXIT_CODES}"))]
struct Args {
    /// echo (the default), sink, fanout, churn or idle; compare and one of them runs
    /// it over every transport; search and one of them finds the highest rate that meets
    /// --slo; sweep and one of them runs it at --rates; serve is the server of a run
    #[arg(num_args = 0..)]
    workload: Vec<String>,
    /// A server that runs [default: start one, on loopback with new keys]
    #[arg(long, value_name = "HOST:PORT", help_heading = SERVER, value_parser = host_and_port)]
    to: Option<(String, u16)>,
    /// Process of that server, to look at its CPU time and memory, if it is on this
    /// machine
    #[arg(long, value_name = "PID", help_heading = SERVER)]
    server_pid: Option<u32>,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    plan: Plan,
    /// Times that the load is run; each transport, for compare [default: 7]; each rate at
    /// most, for search [default: 3]; or without and with a cohort [default: 1]
    #[arg(long, help_heading = LOAD, value_parser = count)]
    rounds: Option<usize>,
    /// Messages per second of all peers, from the lowest rate of a sweep to the highest
    #[arg(long, value_name = "A..B", help_heading = LOAD, value_parser = rates)]
    rates: Option<Rate>,
    /// How many rates a sweep has, each larger than the last by the same factor
    /// [default: 10]
    #[arg(long, help_heading = LOAD, value_parser = count)]
    steps: Option<usize>,
    #[command(flatten)]
    cohort: Wanted,
    /// What response times must be, such as 'p99<5ms'
    #[arg(
        long,
        value_name = "BOUND",
        value_delimiter = ',',
        help_heading = "The report"
    )]
    slo: Vec<Slo>,
    #[command(flatten)]
    outputs: Outputs,
}

/// Turns arguments (the first is the program's name) and environment into what
/// can run. Raises the limit on descriptors, which bounds the peers.
pub(crate) fn parse(
    args: impl IntoIterator<Item = OsString>,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Command, Error> {
    let words: Vec<OsString> = args.into_iter().collect();
    if let Some(text) = about_options(&words) {
        return text.map(Command::Text);
    }
    if words.get(1).is_some_and(|word| word == SERVE) {
        return serve(&words[1..], env);
    }
    let parsed = typed_keys::parse(words, |typed: &mut Args| &mut typed.keys);
    let (mut typed, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) if !error.use_stderr() => return Ok(Command::Show(error)),
        Err(error) => return Err(refusal(&error)),
    };
    let (kind, task) = chosen(&typed.workload)?;
    let in_rounds = typed.rounds.is_some() || typed.outputs.baseline.is_some();
    let task = match task {
        Task::Run if in_rounds && typed.cohort.groups.is_empty() => Task::Repeat,
        task => task,
    };
    typed.plan.kind = kind;
    check_options(&typed, &matches, task)?;
    match kind {
        Kind::Idle if typed.plan.rate.is_none() => {
            let all = typed.plan.peers as f64 / IDLE_EVERY.as_secs_f64();
            typed.plan.rate = Some(Rate::steady(all));
        }
        // A sink is confirmed only at the end, so it is measured from the beginning.
        Kind::Sink => typed.plan.warmup = Duration::ZERO,
        _ => {}
    }
    let descriptors = raise_descriptor_limit();
    check_plan(&typed.plan, task, descriptors)?;
    check_cohort(&typed.cohort, &typed.plan, descriptors)?;
    let allow_core_dumps = typed.keys.allow_core_dumps;
    let (to, warnings) = target(typed.to, typed.server_pid, typed.keys, typed.plan.over, env)?;
    typed.cohort.rounds = typed.rounds.unwrap_or(1);
    let cohort = (!typed.cohort.groups.is_empty()).then_some(typed.cohort);
    let config = Box::new(Config {
        plan: typed.plan,
        to,
        slos: typed.slo,
        cohort,
        allow_core_dumps,
        outputs: typed.outputs,
        warnings,
    });
    Ok(match task {
        Task::Run => Command::Run(config),
        Task::Compare => Command::Compare(config, typed.rounds.unwrap_or(ROUNDS)),
        Task::Repeat => Command::Repeat(config, typed.rounds.unwrap_or(ROUNDS)),
        Task::Search => Command::Search(config, typed.rounds.unwrap_or(SEARCH_ROUNDS)),
        Task::Sweep => {
            let range = typed.rates.expect("it was checked");
            let steps = typed.steps.unwrap_or(SWEEP_STEPS);
            Command::Sweep(config, sweep::rates(range, steps))
        }
    })
}

/// What other programs are told of the options, if the words ask for that.
fn about_options(words: &[OsString]) -> Option<Result<String, Error>> {
    let words: Option<Vec<_>> = words.iter().skip(1).map(|word| word.to_str()).collect();
    match words?[..] {
        [MAN] => {
            let program = Args::command().after_help(Resettable::Reset);
            Some(manual::page_of(
                program,
                &[ENVIRONMENT, EXAMPLES, EXIT_CODES],
            ))
        }
        [COMPLETIONS, shell] => Some(match Shell::from_str(shell, true) {
            Ok(shell) => Ok(manual::script(&mut Args::command(), shell)),
            Err(_) => usage("completions: bash, elvish, fish, powershell or zsh is wanted"),
        }),
        _ => None,
    }
}

/// How a run starts its own server; the keys are in the environment.
fn serve(words: &[OsString], env: &dyn Fn(&str) -> Option<OsString>) -> Result<Command, Error> {
    let Ok(service) = Service::try_parse_from(words) else {
        return usage("serve is how a run starts its own server: serve OVER MODE SIZE");
    };
    let keys = KeyArgs::default().load(false, env)?;
    Ok(Command::Serve(keys.native.expect("not classic"), service))
}

/// What is done with a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Run,
    Compare,
    /// It has rounds.
    Repeat,
    Search,
    Sweep,
}

impl Task {
    fn of(word: &str) -> Option<Self> {
        match word {
            COMPARE => Some(Self::Compare),
            SEARCH => Some(Self::Search),
            SWEEP => Some(Self::Sweep),
            _ => None,
        }
    }
}

/// Which workload the words are, and what is done with it.
fn chosen(words: &[String]) -> Result<(Kind, Task), Error> {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let first = words.first().and_then(|first| Task::of(first));
    let (task, words) = match first {
        Some(task) => (task, &words[1..]),
        None => (Task::Run, &words[..]),
    };
    let word = match words {
        [] => return Ok((Kind::Echo, task)),
        [word] => word,
        _ => return usage("a word belongs to no option (see --help)"),
    };
    let Ok(kind) = Kind::from_str(word, false) else {
        let names = Kind::value_variants().iter().map(|&kind| name(kind));
        let names = names.collect::<Vec<_>>().join(", ");
        return usage(format!(
            "no such workload; there are {names}, {COMPARE}, {SEARCH} and {SWEEP}"
        ));
    };
    Ok((kind, task))
}

/// The server that was typed, if any, and what to tell the user about its keys.
fn target(
    to: Option<(String, u16)>,
    pid: Option<u32>,
    keys: KeyArgs,
    over: Transport,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<(Option<Target>, Vec<String>), Error> {
    let Some((host, port)) = to else {
        return Ok((None, Vec::new()));
    };
    let (identity, warnings) = match over {
        Transport::Sealed => {
            let keys = keys.load(false, env)?;
            (keys.native, keys.warnings)
        }
        _ => (None, Vec::new()),
    };
    let server = Target {
        host,
        port,
        identity,
        pid,
        #[cfg(feature = "tls")]
        certificate: None,
    };
    Ok((Some(server), warnings))
}

fn usage<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Usage(text.into()))
}

/// What clap found wrong, in one line without the value.
fn refusal(error: &clap::Error) -> Error {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else {
        return usage_error(error);
    };
    let typed = error.get(ContextKind::InvalidValue);
    let why = match (error.kind(), error.get(ContextKind::ValidValue)) {
        (ErrorKind::ValueValidation, _) => error.source().map(ToString::to_string),
        (ErrorKind::InvalidValue, Some(ContextValue::Strings(names)))
            if typed.is_some_and(|typed| !typed.to_string().is_empty()) =>
        {
            Some(format!("one of {} is wanted", names.join(", ")))
        }
        _ => None,
    };
    let option = option.split(' ').next().unwrap_or_default();
    why.map_or_else(
        || usage_error(error),
        |why| Error::Usage(format!("{option}: {why}")),
    )
}

/// Refuses options that do not go together, or would do nothing.
fn check_options(typed: &Args, matches: &ArgMatches, task: Task) -> Result<(), Error> {
    let given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let kind = typed.plan.kind;
    let has_keys = ["confkey", "authkey", "keys", "name"]
        .into_iter()
        .any(given);
    let (is_sink, owns) = (kind == Kind::Sink, !given("to"));
    let searches = task == Task::Search;
    let sweeps = task == Task::Sweep;
    let paced = given("rate") || kind == Kind::Idle || searches || sweeps;
    let is_fanout = kind == Kind::Fanout;
    let seals = typed.plan.over == Transport::Sealed;
    let no_rate = "-r: a sink takes what it can; it has no rate";
    let no_warmup = "-w: a sink is measured from its beginning, as it is confirmed at the end";
    let not_due = "--arrival goes with -r: without a rate nothing is due";
    let own_keys = "keys go with --to HOST:PORT; a server that is started gets new ones";
    let own_pid = "--server-pid goes with --to HOST:PORT";
    let no_use = "keys go with --over sealed: no other transport uses them";
    let cohort = given("groups");
    let has_no_rate = (searches || sweeps) && matches!(kind, Kind::Sink | Kind::Idle);
    for (misfit, text) in [
        (
            given("rounds") && sweeps,
            "--rounds does not go with sweep: it runs each rate once",
        ),
        (
            given("baseline") && !matches!(task, Task::Compare | Task::Repeat),
            "--baseline goes with compare, and with --rounds of one load",
        ),
        (
            cohort && task != Task::Run,
            "--cohort does not go with compare, search or sweep",
        ),
        (
            has_no_rate,
            "search and sweep go with echo, fanout and churn: a sink takes what it can, and idle \
             peers have a rate of their own",
        ),
        (
            searches && !given("slo"),
            "search: --slo is wanted, such as --slo 'p99<2ms'",
        ),
        (
            sweeps && !given("rates"),
            "sweep: --rates is wanted, such as --rates 10k..200k",
        ),
        (given("rates") && !sweeps, "--rates goes with sweep"),
        (given("steps") && !sweeps, "--steps goes with sweep"),
        (
            searches && typed.rounds == Some(1),
            "--rounds: at least 2 for search: one run does not decide",
        ),
        (
            given("control") && !cohort,
            "--cohort-control goes with --cohort",
        ),
        (
            given("bad_sources") && !cohort,
            "--cohort-source-ip goes with --cohort",
        ),
        (
            given("publishers") && !is_fanout,
            "--publishers goes with fanout",
        ),
        (given("rate") && is_sink, no_rate),
        (given("warmup") && is_sink, no_warmup),
        (given("arrival") && !paced, not_due),
        (has_keys && owns, own_keys),
        (given("server_pid") && owns, own_pid),
        (has_keys && !seals, no_use),
    ] {
        if misfit {
            return usage(text);
        }
    }
    let (alone, with): (&[&str], _) = match task {
        Task::Compare => (
            &[
                "to",
                "over",
                "slo",
                "hdr",
                "timeseries",
                "prometheus",
                "quiet",
            ],
            "compare",
        ),
        Task::Repeat => (
            &["slo", "hdr", "timeseries", "prometheus", "quiet"],
            "--rounds or --baseline",
        ),
        Task::Search => (
            &["rate", "hdr", "timeseries", "prometheus", "html"],
            "search",
        ),
        Task::Sweep => (&["rate", "slo", "hdr", "timeseries", "prometheus"], "sweep"),
        Task::Run if cohort => (&["hdr", "timeseries", "prometheus"], "--cohort"),
        Task::Run => (&[], ""),
    };
    let most = match task {
        Task::Search => MAX_SEARCH_ROUNDS,
        _ => MAX_ROUNDS,
    };
    if let Some(id) = alone.iter().find(|id| given(id)) {
        return usage(format!("--{id} does not go with {with}"));
    }
    if typed
        .steps
        .is_some_and(|steps| !(2..=MAX_SWEEP_STEPS).contains(&steps))
    {
        return usage(format!("--steps: from 2 to {MAX_SWEEP_STEPS}"));
    }
    match typed.rounds {
        Some(rounds) if rounds > most => usage(format!("--rounds: at most {most}")),
        _ => Ok(()),
    }
}

/// Refuses a cohort that does not fit the load, or has no control where one is wanted.
fn check_cohort(cohort: &Wanted, plan: &Plan, descriptors: u64) -> Result<(), Error> {
    let groups = &cohort.groups;
    if groups.is_empty() {
        return Ok(());
    }
    let has = |kind| groups.iter().any(|group| group.kind == kind);
    let controlled = groups
        .iter()
        .all(|group| group.kind.has_control() && group.rate.is_some());
    let most = (descriptors.saturating_sub(OTHER_DESCRIPTORS) as usize)
        .saturating_sub(plan.all_peers())
        .min(MAX_COHORT);
    let text = if plan.over != Transport::Sealed {
        "--cohort goes with --over sealed: only that has hellos and records".into()
    } else if has(BadKind::SlowReader) && plan.kind == Kind::Sink {
        "--cohort: a sink sends nothing that a slow-reader could read slowly".into()
    } else if cohort.control && !controlled {
        "--cohort-control goes with bad-hello and replay-hello, each with a rate, as in \
         bad-hello:100@1000/s"
            .into()
    } else if cohort.peers() > most {
        format!(
            "--cohort: at most {most} peers beside the others, as this process may open \
             {descriptors} descriptors; ulimit -Hn is that limit"
        )
    } else {
        return Ok(());
    };
    usage(text)
}

/// Refuses what cannot run, or would exhaust the machine.
fn check_plan(plan: &Plan, task: Task, descriptors: u64) -> Result<(), Error> {
    let most_unfinished = Limits::default().max_assembling;
    let most_peers = descriptors.saturating_sub(OTHER_DESCRIPTORS);
    let chunks = plan.size.div_ceil(MAX_PAYLOAD).max(1);
    let in_flight = plan.peers.saturating_mul(plan.depth).saturating_mul(chunks);
    let is_fanout = plan.kind == Kind::Fanout;
    let text = if plan.duration.is_zero() {
        "-d: there is nothing to measure in no time".into()
    } else if plan.timeout.is_zero() {
        "--timeout: nothing is answered in no time".into()
    } else if plan.threads > MAX_THREADS.min(plan.peers) {
        format!("-t: at most {MAX_THREADS}, and no more than peers")
    } else if is_fanout && plan.threads > 1 {
        "-t: fanout takes one thread, which knows which subscriber had which message".into()
    } else if (task == Task::Compare || plan.over != Transport::Sealed) && plan.size == 0 {
        "-s: an empty message cannot be counted over a plain stream of bytes".into()
    } else if plan.all_peers() as u64 > most_peers {
        format!(
            "-c: at most {most_peers} peers, as this process may open {descriptors} descriptors; \
             ulimit -Hn is that limit"
        )
    } else if in_flight > MAX_IN_FLIGHT {
        format!(
            "-c times -p: at most {MAX_IN_FLIGHT} messages, or 16 KiB of them, in flight at once"
        )
    } else if plan.senders().saturating_mul(plan.size) > most_unfinished {
        format!(
            "-c times -s: at most {most_unfinished} bytes, the most that a server keeps of \
             unfinished messages"
        )
    } else if is_fanout && (plan.publishers > MAX_PUBLISHERS || plan.size < 8) {
        format!(
            "fanout takes at most {MAX_PUBLISHERS} publishers, and messages of at least 8 bytes, \
             which tell them apart"
        )
    } else if is_fanout && plan.publishers.saturating_mul(plan.depth) > PLACES / PLACES_IN_FLIGHT {
        let most = PLACES / PLACES_IN_FLIGHT / plan.publishers;
        format!(
            "-p: at most {most} messages in flight for each of {} publishers, because more \
             could not be told apart",
            plan.publishers
        )
    } else {
        return Ok(());
    };
    usage(text)
}

#[cfg(test)]
mod tests;
