//! A run at a rate: a point of a search, or of a curve.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::{Grade, Verdict};
use crate::measure::figures::{Figures, seconds};
use crate::measure::quantile::Quantile;
use crate::measure::results::Results;

/// What a run at a rate came to. Times are in microseconds; a figure that is not known is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Point {
    /// Messages per second that were asked for; none in a closed loop.
    pub(crate) asked_per_second: Option<f64>,
    pub(crate) messages_per_second: f64,
    pub(crate) response_p50_us: Option<f64>,
    pub(crate) response_p99_us: Option<f64>,
    pub(crate) response_p99_9_us: Option<f64>,
    pub(crate) response_max_us: Option<f64>,
    pub(crate) server_cpu_percent: Option<f64>,
    pub(crate) verdict: Grade,
    /// The load tester was at its limit, or so late that the times are its own.
    pub(crate) load_tester_is_the_bound: bool,
    #[serde(skip)]
    pub(crate) faults: bool,
    /// Which rules were broken; the report has them, too.
    #[serde(skip)]
    pub(crate) rules: BTreeSet<&'static str>,
    /// The whole report.
    pub(crate) report: Value,
}

impl Point {
    pub(crate) fn of(
        results: &Results,
        figures: &Figures,
        verdict: &Verdict,
        report: Value,
    ) -> Self {
        let response = &results.tally.response;
        let micros = |nanos: u64| nanos as f64 / 1e3;
        let at = |quantile: Quantile| quantile.of(response).map(micros);
        let cpu = results.server.map(|server| {
            let used = server.measured().ran;
            seconds(used) / seconds(results.took) * 100.0
        });
        Self {
            asked_per_second: figures.asked_messages_per_second,
            messages_per_second: figures.messages_per_second,
            response_p50_us: at(Quantile::P50),
            response_p99_us: at(Quantile::P99),
            response_p99_9_us: at(Quantile::P99_9),
            response_max_us: (!response.is_empty()).then(|| micros(response.max())),
            server_cpu_percent: cpu,
            verdict: verdict.grade,
            load_tester_is_the_bound: verdict.is_load_testers(Grade::Invalid),
            faults: results.found_faults(),
            rules: verdict.reasons.iter().map(|reason| reason.rule).collect(),
            report,
        }
    }
}
