//! Everything, for programs. Names hold their units; what is not known, or has too
//! few samples, is null.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};
use sealwire::net::address::host;
use serde_json::{Map, Value, json};

use super::Report;
use crate::environment::{Environment, shares_machine};
use crate::figures::seconds;
use crate::plan::{Over, Plan};
use crate::results::{Row, Usage};
use crate::slo::{Judged, Outcome};
use crate::times::Quantile;

/// Another one whenever a program that reads it would have to know.
pub(super) const FORMAT: u32 = 2;

/// With a line's end.
pub(super) fn text(report: &Report<'_>) -> String {
    format!("{:#}\n", value(report))
}

/// All that is told of a run.
pub(crate) fn value(report: &Report<'_>) -> Value {
    merged([
        environment(report),
        of_plan(report.plan),
        rates(report),
        messages(report),
        server(report),
        rest(report),
    ])
}

fn environment(report: &Report<'_>) -> Value {
    let results = report.results;
    let kernel = (report.plan.over == Over::Sealed).then(|| results.kernel.name());
    let here = of_environment(report.environment);
    let run = json!({
        "format": FORMAT,
        "kernel": kernel,
        "server_kernel": kernel.filter(|_| results.own_server),
        "server": results.address.to_string(),
        "server_is_own": results.own_server,
        "shares_machine": shares_machine(results.address),
    });
    merged([here, run])
}

/// Where it ran.
pub(super) fn of_environment(here: &Environment) -> Value {
    json!({
        "version": here.version,
        "commit": here.commit,
        "profile": here.profile,
        "processor": here.processor,
        "processors": here.processors,
        "system": here.system,
        "fastest_kernel": here.fastest.name(),
    })
}

/// One object of several.
fn merged(parts: impl IntoIterator<Item = Value>) -> Value {
    let mut all = Map::new();
    for part in parts {
        let Value::Object(part) = part else {
            unreachable!("all of them are")
        };
        all.extend(part);
    }
    Value::Object(all)
}

/// What was asked for.
pub(super) fn of_plan(plan: &Plan) -> Value {
    json!({
        "workload": plan.kind.name(),
        "over": plan.over.name(),
        "peers": plan.peers,
        "publishers": plan.publishers,
        "size_bytes": plan.size,
        "depth": plan.depth,
        "rate_from_per_second": plan.rate.map(|rate| rate.from),
        "rate_to_per_second": plan.rate.map(|rate| rate.to),
        "arrival": plan.arrival.name(),
        "duration_s": plan.duration.as_secs_f64(),
        "warmup_s": plan.warmup.as_secs_f64(),
        "timeout_s": plan.timeout.as_secs_f64(),
        "threads": plan.threads,
        "source_ips": plan.sources.iter().map(|&source| host(source)).collect::<Vec<_>>(),
        "seed": plan.seed,
    })
}

fn rates(report: &Report<'_>) -> Value {
    let (plan, results) = (report.plan, report.results);
    let asked = results.asked_per_second(plan);
    let reached = results.messages_per_second(plan);
    json!({
        "measured_s": results.took.as_secs_f64(),
        "load_s": results.loaded.as_secs_f64(),
        "measured_messages": results.answered(plan),
        "messages_per_second": reached,
        "asked_messages_per_second": asked,
        "megabytes_per_second": results.megabytes_per_second(plan),
        "handshakes_per_second": results.handshakes_per_second(plan),
        "generator_busy": results.busy().collect::<Vec<_>>(),
        "generator_waits": results.waits().collect::<Vec<_>>(),
        "interrupted": results.interrupted,
        "ended_early": results.ended_early,
    })
}

fn messages(report: &Report<'_>) -> Value {
    let results = report.results;
    let (tally, account) = (&results.tally, &results.tally.account);
    let stages = tally.stages.iter();
    let stages: Map<_, _> = stages
        .map(|(name, stage)| (name.replace(' ', "_"), times(stage)))
        .collect();
    json!({
        "account": {
            "scheduled": account.scheduled,
            "completed": account.completed,
            "errors": account.errors,
            "timeouts": account.timeouts,
            "shed": account.shed,
            "unsent": account.unsent,
            "in_flight": account.in_flight,
            "holds": account.holds(),
        },
        "lost_messages": tally.lost,
        "wrong_messages": tally.wrong,
        "response_ns": times(&tally.response),
        "service_ns": times(&tally.service),
        "lag_ns": times(&tally.lag),
        "stages_ns": stages,
        "counts": tally.counts,
        "handshake_ns": times(&results.handshake),
        "joined_peers": results.joined,
        "complete_peers": results.complete,
        "failed_peers": results.failed,
        "errors": results.errors,
    })
}

fn server(report: &Report<'_>) -> Value {
    let (plan, results) = (report.plan, report.results);
    let cpu = results.server_us_per_message(plan);
    let switches = results.switches_per_second();
    let server = results.server;
    let crypto = results.crypto;
    json!({
        "server_cpu_us_per_message": cpu.map(|(user, system)| user + system),
        "server_user_us_per_message": cpu.map(|(user, _)| user),
        "server_system_us_per_message": cpu.map(|(_, system)| system),
        "server_bytes_per_peer": results.bytes_per_peer(plan),
        "server_voluntary_switches_per_second": switches.map(|(voluntary, _)| voluntary),
        "server_involuntary_switches_per_second": switches.map(|(_, involuntary)| involuntary),
        "server_empty": server.map(|server| usage(&server.empty)),
        "server_before": server.map(|server| usage(&server.before)),
        "server_after": server.map(|server| usage(&server.after)),
        "seal_ns": crypto.map(|cost| seconds(cost.seal.took) * 1e9),
        "seal_batch": crypto.map(|cost| cost.seal.batch),
        "open_ns": crypto.map(|cost| seconds(cost.open.took) * 1e9),
        "open_batch": crypto.map(|cost| cost.open.batch),
        "crypto_share_of_server_cpu": results.crypto_share(plan),
    })
}

fn rest(report: &Report<'_>) -> Value {
    let verdict = report.verdict;
    json!({
        "slos": report.slos.iter().map(slo).collect::<Vec<_>>(),
        "verdict": verdict.grade.name(),
        "reasons": verdict.reasons.iter().map(|reason| &reason.text).collect::<Vec<_>>(),
        "rules": verdict.reasons.iter().map(|reason| reason.rule).collect::<Vec<_>>(),
        "notes": verdict.notes,
        "at_least": verdict.at_least,
        "rows": report.results.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

/// Figures of `times`, and all of it.
fn times(times: &Histogram<u64>) -> Value {
    let some = |nanos: f64| (!times.is_empty()).then_some(nanos);
    json!({
        "count": times.len(),
        "p50": Quantile::P50.of(times),
        "p90": Quantile::P90.of(times),
        "p99": Quantile::P99.of(times),
        "p99_9": Quantile::P99_9.of(times),
        "max": (!times.is_empty()).then(|| times.max()),
        "mean": some(times.mean()),
        "hdr_v2": hdr_v2(times),
    })
}

/// In the form that other programs with HdrHistogram read.
fn hdr_v2(times: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(times, &mut bytes)
        .expect("memory takes all, and no count is past what fits");
    BASE64_STANDARD.encode(bytes)
}

fn usage(usage: &Usage) -> Value {
    json!({
        "cpu_us": usage.ran.as_nanos() as f64 / 1e3,
        "user_us": usage.user.as_nanos() as f64 / 1e3,
        "system_us": usage.system.as_nanos() as f64 / 1e3,
        "resident_bytes": usage.resident,
        "descriptors": usage.descriptors,
        "voluntary_switches": usage.voluntary,
        "involuntary_switches": usage.involuntary,
    })
}

fn slo(judged: &Judged) -> Value {
    let (outcome, measured) = match judged.outcome {
        Outcome::Met(nanos) => ("met", Some(nanos)),
        Outcome::Missed(nanos) => ("missed", Some(nanos)),
        Outcome::TooFew { .. } => ("undecided", None),
    };
    json!({
        "slo": judged.slo.text,
        "outcome": outcome,
        "measured_ns": measured,
    })
}

fn row(row: &Row) -> Value {
    let nanos = |time: std::time::Duration| time.as_nanos() as u64;
    let enough = |needs: u64, time| (row.completed >= needs).then(|| nanos(time));
    json!({
        "until_s": row.until.as_secs_f64(),
        "took_s": row.took.as_secs_f64(),
        "sent_messages": row.sent,
        "completed_messages": row.completed,
        "messages_per_second": row.messages_per_second(),
        "response_p50_ns": enough(Quantile::P50.needs(), row.p50),
        "response_p99_ns": enough(Quantile::P99.needs(), row.p99),
        "response_max_ns": enough(1, row.max),
        "peers": row.peers,
        "generator_cpu_us": row.generator.as_nanos() as f64 / 1e3,
        "server": row.server.as_ref().map(usage),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hdrhistogram::serialization::Deserializer;

    use super::super::told;
    use super::*;
    use crate::testing;

    fn read(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    /// The histogram in `value`, as another program would read it.
    fn decoded(value: &Value) -> Histogram<u64> {
        let text = value["hdr_v2"].as_str().unwrap();
        // So begins every one of this form.
        assert!(text.starts_with("HISTFAAA"), "{text}");
        let bytes = BASE64_STANDARD.decode(text).unwrap();
        Deserializer::new().deserialize(&mut &bytes[..]).unwrap()
    }

    /// Goal: programs find every figure by its name. Method: a run, one figure of
    /// each kind.
    #[test]
    fn figures_have_names() {
        let all = read(&told(|_, _| {}, "p99<5ms,p50<1ns,p99.999<1s", text));
        let due = json!({
            "format": 2, "version": "1.2.3", "commit": "0123456789ab", "profile": "release",
            "processor": "Made-up CPU @ 2 GHz", "processors": 8, "system": "Linux 6.1.0",
            "kernel": "portable", "server_kernel": "portable", "shares_machine": true,
            "workload": "echo", "over": "sealed", "peers": 64, "size_bytes": 100, "depth": 4,
            "rate_from_per_second": 1000.0, "arrival": "constant", "duration_s": 20.0,
            "measured_s": 20.0, "load_s": 20.0, "measured_messages": 20_000, "messages_per_second": 1000.0,
            "asked_messages_per_second": 1000.0, "megabytes_per_second": 0.1,
            "handshakes_per_second": 128.0, "generator_busy": [0.2, 0.25], "generator_waits": [0.01, 0.01],
            "lost_messages": 0, "wrong_messages": 0, "joined_peers": 64, "complete_peers": 64,
            "failed_peers": 0, "errors": {}, "server_cpu_us_per_message": 10.0,
            "server_user_us_per_message": 4.0, "server_bytes_per_peer": 1500.0,
            "crypto_share_of_server_cpu": 0.05, "seal_ns": 300.0, "at_least": false,
            "server_voluntary_switches_per_second": 500.0, "verdict": "SUSPECT",
        });
        for (name, value) in due.as_object().unwrap() {
            assert_eq!(&all[name], value, "{name}");
        }
        assert_eq!(all["account"]["scheduled"], 20_000);
        assert_eq!(all["account"]["holds"], true);
        assert_eq!(
            all["server_after"]["resident_bytes"],
            (10 << 20) + 64 * 1500
        );
        assert_eq!(all["rows"].as_array().unwrap().len(), 20);
        assert_eq!(all["rows"][3]["until_s"], 4.0);
        assert_eq!(all["rows"][3]["response_p99_ns"], 209_000);
        assert_eq!(all["rows"][3]["server"]["user_us"], 4000.0);
        let outcomes = ["met", "missed", "undecided"];
        for (k, outcome) in outcomes.into_iter().enumerate() {
            assert_eq!(all["slos"][k]["outcome"], outcome);
        }
        assert!(all["reasons"][0].as_str().unwrap().contains("p99.999"));
    }

    /// Goal: whole histograms are in it, the same as they were. Method: decode
    /// them, also one with the longest time there is, and one that is empty.
    #[test]
    fn histograms_are_whole() {
        let change = |results: &mut crate::results::Results| {
            results.tally.service.saturating_record(u64::MAX);
            results.tally.lag.reset();
            let stage = results.tally.response.clone();
            results.tally.stages.insert("first reply", stage);
        };
        let all = read(&told(|_, results| change(results), "", text));
        let mut results = testing::results();
        change(&mut results);
        let tally = &results.tally;
        assert_eq!(decoded(&all["response_ns"]), tally.response);
        assert_eq!(decoded(&all["service_ns"]), tally.service);
        assert_eq!(decoded(&all["handshake_ns"]), results.handshake);
        assert_eq!(decoded(&all["stages_ns"]["first_reply"]), tally.response);
        assert_eq!(decoded(&all["lag_ns"]).len(), 0);
    }

    /// Goal: what is not known is null, not nothing. Method: few samples, and a
    /// closed loop over plain TCP to a server of which nothing is known.
    #[test]
    fn what_is_not_known() {
        let all = read(&told(
            |plan, results| {
                plan.rate = None;
                plan.over = Over::Plain;
                results.own_server = false;
                results.server = None;
                results.crypto = None;
                results.tally.lag.reset();
                results.rows[0].completed = 1;
                results.rows[0].server = None;
            },
            "",
            text,
        ));
        for name in [
            "rate_from_per_second",
            "asked_messages_per_second",
            "kernel",
            "server_kernel",
            "server_cpu_us_per_message",
            "server_bytes_per_peer",
            "server_after",
            "seal_ns",
            "crypto_share_of_server_cpu",
        ] {
            assert!(all.get(name).is_some_and(Value::is_null), "{name}: {all}");
        }
        assert_eq!(all["handshake_ns"]["p99"], Value::Null);
        assert_eq!(all["handshake_ns"]["count"], 64);
        assert_eq!(all["lag_ns"]["max"], Value::Null);
        assert_eq!(all["rows"][0]["response_p50_ns"], Value::Null);
        assert_eq!(all["rows"][0]["response_max_ns"], 210_000);
        assert_eq!(all["rows"][0]["server"], Value::Null);
    }
}
