//! The first lines of every text: what ran, how, and where.

use sealwire::net::address::host_and_port;
use sealwire::text::escaped;

use super::Report;
use crate::measure::environment::{Environment, shares_machine};
use crate::plan::{Arrival, Kind, Plan};
use crate::values::name;

pub(super) fn lines(report: &Report<'_>) -> Vec<String> {
    let here = report.environment;
    let (results, plan) = (report.results, &report.results.plan);
    let (server, whose) = match results.own_server {
        true => ("a server of its own", "on both sides"),
        false => ("the server", "here; the server's is not known"),
    };
    let place = match shares_machine(results.address) {
        true => "both on this machine",
        false => "on another machine",
    };
    let address = host_and_port(results.address);
    let lines = [
        what(plan, here, &name(plan.over)),
        load(plan),
        pace(plan) + &early(report),
        machine(here),
        format!("load on {server} at {address}, {place}"),
    ];
    let kernel = results
        .kernel
        .map(|kernel| format!("kernel {} {whose}", kernel.name()));
    lines.into_iter().chain(kernel).collect()
}

fn what(plan: &Plan, here: &Environment, over: &str) -> String {
    let (version, commit, profile) = (here.version, here.commit, here.profile);
    let workload = name(plan.kind);
    format!("loadgen {version} ({commit}, {profile}): {workload} over {over}")
}

fn machine(here: &Environment) -> String {
    // A hypervisor may call its processor anything.
    let (processor, count) = (escaped(&here.processor), here.processors);
    format!("{processor}, {count} processors, {}", here.system)
}

/// The first lines of a report of several runs, `over` what, and at which `pace`.
pub(super) fn of_several(
    plan: &Plan,
    here: &Environment,
    over: &str,
    pace: &str,
    own_server: bool,
) -> String {
    let server = match own_server {
        true => "server of its own, both ends on this machine",
        false => "a server that runs already",
    };
    let lines = [
        what(plan, here, over),
        load(plan),
        pace.into(),
        machine(here),
        server.into(),
    ];
    lines.map(|line| line + "\n").concat()
}

/// How long each of several runs measures.
pub(super) fn length(plan: &Plan) -> String {
    let (duration, warmup) = (plan.duration.as_secs_f64(), plan.warmup.as_secs_f64());
    format!("{duration} s after {warmup} s")
}

/// The same as comments, and the verdict.
pub(super) fn comments(report: &Report<'_>) -> String {
    let verdict = &report.verdict;
    let grade = name(verdict.grade);
    let reasons = verdict.reasons.iter().map(|why| format!("  {}", why.text));
    let lines = lines(report).into_iter().chain([grade]).chain(reasons);
    lines.map(|line| format!("# {line}\n")).collect()
}

fn load(plan: &Plan) -> String {
    let peers = match plan.kind {
        Kind::Fanout => format!("{} publishers, {} subscribers", plan.publishers, plan.peers),
        _ => format!("{} peers", plan.peers),
    };
    let Plan {
        size,
        depth,
        threads,
        ..
    } = plan;
    format!("{peers}, {size} B, depth {depth}, {threads} threads")
}

pub(super) fn pace(plan: &Plan) -> String {
    let pace = match plan.rate {
        None => "closed loop".into(),
        Some(rate) => {
            let arrival = match plan.arrival {
                Arrival::Constant => "evenly",
                Arrival::Poisson => "at random",
            };
            let to = match rate.is_steady() {
                true => String::new(),
                false => format!(" to {}", rate.to),
            };
            format!("open loop, {}{to} {} {arrival}", rate.from, unit(plan))
        }
    };
    format!("{pace}, {}", length(plan))
}

/// How long it was, if that is less than planned.
fn early(report: &Report<'_>) -> String {
    let took = report.results.took;
    match took < report.results.plan.duration {
        true => format!("; it ended after {:.2} s", took.as_secs_f64()),
        false => String::new(),
    }
}

/// The unit of a rate.
pub(super) fn unit(plan: &Plan) -> &'static str {
    match plan.kind {
        Kind::Churn => "connections/s",
        _ => "messages/s",
    }
}
