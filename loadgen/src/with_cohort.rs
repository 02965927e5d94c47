//! The same load without and with a cohort of misbehaving peers, and perhaps with a control.
//!
//! A round has one server, and two or three runs: clean; as a control, with the cohort going to a
//! plain server; with the cohort. It computes no ratio. Read next: [`crate::cohort`], and
//! [`crate::judge::cohort`], which does.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;

use sealwire::limits::CLIENT_HELLO;
use sealwire_cli::error::Error;

use crate::args::Config;
use crate::child::OwnServer;
use crate::cohort::{Cohort, Goal, Wanted};
use crate::interrupt::Interrupt;
use crate::judge::cohort::{CohortRounds, Part, PartRun};
use crate::limits::COHORT_PAUSE;
use crate::load::RunSetup;
use crate::measure::meter::Window;
use crate::plan::{ServerMode, Service, Transport};
use crate::report::progress::Progress;
use crate::run::Host;

/// Runs what was asked for, round by round, until the user interrupts it. Only whole rounds are
/// returned; the last run of the last round may be cut short.
pub(crate) fn run(
    config: &Config,
    wanted: &Wanted,
    interrupt: &Interrupt,
) -> Result<CohortRounds, Error> {
    let mut rounds = Vec::new();
    for round in 1..=wanted.rounds {
        let title = match wanted.rounds {
            1 => String::new(),
            rounds => format!("round {round} of {rounds}, "),
        };
        match run_round(config, wanted, interrupt, &title) {
            Ok(round) => rounds.push(round),
            Err(_) if interrupt.is_asked() && !rounds.is_empty() => break,
            Err(error) => return Err(error),
        }
        if interrupt.is_asked() {
            break;
        }
    }
    Ok(CohortRounds::new(wanted.clone(), rounds))
}

fn run_round(
    config: &Config,
    wanted: &Wanted,
    interrupt: &Interrupt,
    title: &str,
) -> Result<Vec<PartRun>, Error> {
    let mut host = Host::of(&config.plan, config.to.as_ref(), interrupt)?;
    let parts: &[Part] = match wanted.control {
        true => &[Part::Clean, Part::Control, Part::Cohort],
        false => &[Part::Clean, Part::Cohort],
    };
    let mut runs = Vec::new();
    for &part in parts {
        if interrupt.is_asked() {
            let text = "it was interrupted before the cohort came: there is nothing to compare";
            return Err(Error::Local(text.into()));
        }
        let control = match part {
            Part::Control => Some(Control::start(interrupt)?),
            _ => None,
        };
        let to = control.as_ref().map(|control| control.address);
        let name = part.name();
        let progress = Progress::new(format!("{title}{name}, "), config.outputs.quiet);
        let (results, cohort) =
            host.run(
                &config.plan,
                interrupt,
                progress,
                |setup, window| match part {
                    Part::Clean => Ok(None),
                    Part::Control | Part::Cohort => begin(wanted, setup, window, to).map(Some),
                },
            )?;
        let outcome = cohort.map(Cohort::end).transpose()?;
        runs.push(PartRun {
            part,
            results,
            outcome,
        });
        if part == Part::Control {
            thread::sleep(COHORT_PAUSE);
        }
    }
    Ok(runs)
}

/// Begins the cohort beside a run that begins to load.
fn begin(
    wanted: &Wanted,
    setup: &RunSetup<'_>,
    window: Window,
    to: Option<SocketAddr>,
) -> Result<Cohort, Error> {
    let identity = setup.server.identity.clone();
    let goal = Goal {
        address: to.unwrap_or(setup.address),
        identity: identity.expect("a sealed server has keys"),
        kernel: setup.kernel,
        mode: match to {
            Some(_) => ServerMode::Close,
            None => Service::of(setup.plan).mode,
        },
        clock: setup.clock,
        end: window.end,
    };
    Cohort::begin(wanted, &setup.plan.sources, goal)
}

/// A plain server that reads a hello's bytes of each connection, and closes it.
struct Control {
    address: SocketAddr,
    _server: OwnServer,
}

impl Control {
    fn start(interrupt: &Interrupt) -> Result<Self, Error> {
        let service = Service {
            over: Transport::Plain,
            mode: ServerMode::Close,
            size: CLIENT_HELLO,
        };
        let (server, target) = OwnServer::start(service, interrupt)?;
        Ok(Self {
            address: (Ipv4Addr::LOCALHOST, target.port).into(),
            _server: server,
        })
    }
}
