//! Runs of one plan at several rates, against one server.
//!
//! [`crate::search`] and [`crate::sweep`] say at which rates. Read next: [`crate::run`].

use std::time::Duration;

use sealwire_cli::error::Error;

use crate::args::Config;
use crate::interrupt::Interrupt;
use crate::judge::Grade;
use crate::judge::point::Point;
use crate::judge::search::Outcome;
use crate::limits::RUN_BESIDE;
use crate::measure::environment::Environment;
use crate::plan::{Plan, Rate};
use crate::report::progress::Progress;
use crate::report::{Report, json};
use crate::run::Host;

/// The server, and what each run has in common.
pub(crate) struct Rates<'a> {
    config: &'a Config,
    environment: &'a Environment,
    interrupt: &'a Interrupt,
    host: Host<'a>,
}

impl<'a> Rates<'a> {
    pub(crate) fn new(
        config: &'a Config,
        environment: &'a Environment,
        interrupt: &'a Interrupt,
    ) -> Result<Self, Error> {
        Ok(Self {
            config,
            environment,
            interrupt,
            host: Host::of(&config.plan, config.to.as_ref(), interrupt)?,
        })
    }

    /// Runs the plan at `rate`, or as a closed loop. `None` once the user wants a report: a part of
    /// a run is not comparable with whole ones.
    pub(crate) fn run(
        &mut self,
        rate: Option<f64>,
        title: String,
    ) -> Result<Option<(Point, Outcome)>, Error> {
        let mut plan = self.config.plan.clone();
        plan.rate = rate.map(Rate::steady);
        let progress = Progress::new(title, self.config.outputs.quiet);
        let ended = (self.host).run(&plan, self.interrupt, progress, |_, _| Ok(()));
        if self.interrupt.is_asked() {
            return Ok(None);
        }
        let (results, ()) = ended?;
        let report = Report::new(&results, &self.config.slos, self.environment);
        let (figures, verdict) = (&report.figures, &report.verdict);
        let point = Point::of(&results, figures, verdict, json::value(&report));
        let late = verdict.is_load_testers(Grade::Suspect);
        let outcome = Outcome::of(report.slos_met(), verdict.grade, late);
        Ok(Some((point, outcome)))
    }
}

/// How long a run takes if its answers come in time.
pub(crate) fn time_of_run(plan: &Plan) -> Duration {
    RUN_BESIDE + plan.warmup + plan.duration
}

/// What the user is told before `most` runs, with how many it may be.
pub(crate) fn announced(plan: &Plan, runs: &str, most: usize) -> String {
    let all = told(time_of_run(plan).saturating_mul(most as u32));
    let late = told(plan.timeout);
    format!("{runs}: {all} at most, and up to {late} more for each run whose answers are late")
}

/// A time as people say it.
pub(crate) fn told(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let whole = seconds.ceil() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: times are told as people say them. Method: one of each kind.
    #[test]
    fn times() {
        for (millis, due) in [
            (220, "0.2 s"),
            (9_000, "9.0 s"),
            (59_001, "1 min 0 s"),
            (276_000, "4 min 36 s"),
            (7_260_000, "2 h 1 min"),
        ] {
            assert_eq!(told(Duration::from_millis(millis)), due);
        }
        let plan = crate::testing::plan();
        let due = "10 runs: 3 min 32 s at most, and up to 5.0 s more for each run whose answers \
            are late";
        assert_eq!(announced(&plan, "10 runs", 10), due);
    }
}
