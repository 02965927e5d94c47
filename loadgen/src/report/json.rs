//! Everything, for programs. Names hold their units; a figure that is unknown, or has too few
//! samples, is null.
//!
//! The names are declared by the structs themselves: [`crate::plan`] and [`crate::measure`].

use serde_json::{Value, json, to_value};

use super::Report;
use crate::measure::environment::shares_machine;

/// The version of the format. It changes whenever a program that reads the format must change.
pub(super) const FORMAT: u32 = 2;

/// `value` as text, with a line's end.
pub(super) fn text(value: Value) -> String {
    format!("{value:#}\n")
}

pub(crate) fn value(report: &Report<'_>) -> Value {
    let (results, reasons) = (report.results, &report.verdict.reasons);
    let mut all = to_value(report).expect("every key is text");
    all["format"] = FORMAT.into();
    all["shares_machine"] = shares_machine(results.address).into();
    all["server_kernel"] = match results.own_server {
        true => all["kernel"].clone(),
        false => Value::Null,
    };
    all["account"]["holds"] = results.tally.account.holds().into();
    all["reasons"] = reasons.iter().map(|reason| &*reason.text).collect();
    all["rules"] = json!(reasons.iter().map(|reason| reason.rule).collect::<Vec<_>>());
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;
    use serde_json::Map;

    use super::super::told;
    use super::*;
    use crate::measure::results::Results;
    use crate::testing;

    /// The JSON of the made-up run after `change`, as a program reads it.
    fn read(change: impl FnOnce(&mut Results), slos: &str) -> Value {
        let text = told(change, slos, |report| text(value(report)));
        serde_json::from_str(&text).unwrap()
    }

    /// The histogram in `value`, as another program would read it.
    fn decoded(value: &Value) -> Histogram<u64> {
        let text = value["hdr_v2"].as_str().unwrap();
        // Every histogram of this form begins so.
        assert!(text.starts_with("HISTFAAA"), "{text}");
        let bytes = BASE64_STANDARD.decode(text).unwrap();
        Deserializer::new().deserialize(&mut &bytes[..]).unwrap()
    }

    /// Goal: programs find every figure by its name; of its bounds, only one that cannot be decided
    /// makes a run suspect. Method: all names, and the values of a run whose source addresses and
    /// bounds are set.
    #[test]
    fn figures_have_names() {
        let sources = vec!["127.0.0.2:0".parse().unwrap(), "[::1]:0".parse().unwrap()];
        let slos = "p99<5ms,p50<1ns,p99.999<1s";
        let all = read(|results| results.plan.sources = sources, slos);
        let due = r#"{
            "format": 2, "version": "1.2.3", "commit": "0123456789ab", "profile": "release",
            "processor": "Made-up CPU @ 2 GHz", "processors": 8, "system": "Linux 6.1.0",
            "fastest_kernel": "portable", "kernel": "portable", "server_kernel": "portable",
            "server": "127.0.0.1:9999", "server_is_own": true, "shares_machine": true,
            "workload": "echo", "over": "sealed", "peers": 64, "publishers": 1, "size_bytes": 100,
            "depth": 4, "rate_from_per_second": 1000.0, "rate_to_per_second": 1000.0,
            "arrival": "constant", "duration_s": 20.0, "warmup_s": 1.0, "timeout_s": 5.0,
            "threads": 2, "source_ips": ["127.0.0.2", "::1"], "seed": 1,
            "measured_s": 20.0, "load_s": 20.0, "measured_messages": 20000,
            "messages_per_second": 1000.0, "asked_messages_per_second": 1000.0,
            "megabytes_per_second": 0.1, "handshakes_per_second": 128.0,
            "generator_busy": [0.2, 0.25], "generator_waits": [0.01, 0.01],
            "lost_messages": 0, "wrong_messages": 0, "joined_peers": 64, "complete_peers": 64,
            "failed_peers": 0, "errors": {}, "counts": {}, "stages_ns": {},
            "server_cpu_us_per_message": 10.0, "server_user_us_per_message": 4.0,
            "server_system_us_per_message": 6.0, "server_bytes_per_peer": 1500.0,
            "most_kernel_tcp_bytes": 1048576, "server_voluntary_switches_per_second": 500.0,
            "server_involuntary_switches_per_second": 20.0,
            "crypto_share_of_server_cpu": 0.05, "seal_ns": 300.0, "seal_batch": 2,
            "open_ns": 200.0, "open_batch": 2, "at_least": false, "interrupted": false,
            "ended_early": false, "freezes": [], "response_as_open_loop_ns": null, "verdict": "SUSPECT", "notes": [],
            "rules": ["there are too few samples for a bound"],
            "account": {
                "scheduled": 20000, "completed": 20000, "errors": 0, "timeouts": 0, "shed": 0,
                "unsent": 0, "in_flight": 0, "holds": true
            },
            "server_after": {
                "cpu_us": 200000.0, "user_us": 80000.0, "system_us": 120000.0,
                "resident_bytes": 10581760, "descriptors": 70,
                "voluntary_switches": 10000, "involuntary_switches": 400
            }
        }"#;
        let due: Map<String, Value> = serde_json::from_str(due).unwrap();
        for (name, value) in &due {
            assert_eq!(&all[name], value, "{name}");
        }
        let others = "handshake_ns lag_ns reasons response_ns rows server_before server_empty \
            service_ns slos";
        let names = due.keys().map(String::as_str);
        let names: BTreeSet<_> = names.chain(others.split(' ')).collect();
        let found = all.as_object().unwrap().keys().map(String::as_str);
        assert_eq!(found.collect::<BTreeSet<_>>(), names);
        let row = json!({
            "until_s": 4.0, "took_s": 1.0, "sent_messages": 1000, "completed_messages": 1000,
            "messages_per_second": 1000.0, "response_p50_ns": 160_000, "response_p99_ns": 209_000,
            "response_max_ns": 210_000, "peers": 64, "generator_cpu_us": 450_000.0, "others_cpu_us": 0.0,
            "server": all["rows"][3]["server"],
        });
        assert_eq!((&all["rows"][3], all["rows"][20].is_null()), (&row, true));
        assert_eq!(all["rows"][3]["server"]["user_us"], 4000.0);
        for (k, outcome) in ["met", "missed", "undecided"].into_iter().enumerate() {
            assert_eq!(all["slos"][k]["outcome"], outcome);
            let measured = &all["slos"][k]["measured_ns"];
            assert_eq!(measured.is_null(), outcome == "undecided");
        }
        assert_eq!(all["slos"][0]["slo"], "p99<5ms");
        let undecided = "p99.999<1s cannot be told from 20000 samples: it takes 1000000";
        assert_eq!(all["reasons"], json!([undecided]));
    }

    /// Goal: whole histograms are in it, the same as they were. Method: decode them, also one
    /// with the longest time there is, and one that is empty.
    #[test]
    fn histograms_are_whole() {
        let change = |results: &mut Results| {
            results.tally.service.saturating_record(u64::MAX);
            results.tally.lag.reset();
            let stage = results.tally.response.clone();
            results.tally.stages.insert("first reply", stage);
        };
        let all = read(change, "");
        let results = testing::changed(change);
        let tally = &results.tally;
        assert_eq!(decoded(&all["response_ns"]), tally.response);
        assert_eq!(decoded(&all["service_ns"]), tally.service);
        assert_eq!(decoded(&all["handshake_ns"]), results.handshake);
        assert_eq!(decoded(&all["stages_ns"]["first_reply"]), tally.response);
        assert_eq!(decoded(&all["lag_ns"]).len(), 0);
    }

    /// Goal: a figure that is unknown is null, not 0. Method: few samples, and a closed loop
    /// over plain TCP to an unknown server.
    #[test]
    fn unknown_figures() {
        let change = |results: &mut Results| {
            testing::to_an_unknown_server(results);
            results.crypto = None;
            results.tally.lag.reset();
            results.intervals[0].p50 = None;
            results.intervals[0].server = None;
        };
        let all = read(change, "");
        let unknown = "rate_from_per_second rate_to_per_second asked_messages_per_second kernel \
            server_kernel server_cpu_us_per_message server_bytes_per_peer server_empty \
            server_after seal_ns crypto_share_of_server_cpu";
        for name in unknown.split_whitespace() {
            assert!(all.get(name).is_some_and(Value::is_null), "{name}: {all}");
        }
        let times = ["p50", "p90", "p99", "p99_9", "max", "mean"];
        for name in times {
            assert_eq!(all["lag_ns"].get(name), Some(&Value::Null), "{name}");
        }
        assert_eq!(all["handshake_ns"]["p99"], Value::Null);
        assert_eq!(all["handshake_ns"]["count"], 64);
        for name in ["response_p50_ns", "server"] {
            assert_eq!(all["rows"][0].get(name), Some(&Value::Null), "{name}");
        }
    }
}
