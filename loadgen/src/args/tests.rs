//! What is typed, and what comes of it.

use super::*;
use crate::plan::Arrival;

/// Parses `line`; the environment has both keys if it `has_keys`.
fn parse_with(line: &str, has_keys: bool) -> Result<Command, Error> {
    let words = ["loadgen"].into_iter().chain(line.split_whitespace());
    let env = |name: &str| match name {
        "SEALWIRE_CONFKEY" => has_keys.then(|| "5a".repeat(32).into()),
        _ => has_keys.then(|| "5b".repeat(32).into()),
    };
    parse(words.map(OsString::from), &env)
}

fn config(line: &str) -> Config {
    match parse_with(line, true).unwrap() {
        Command::Run(config) => *config,
        _ => panic!("{line}: not a run"),
    }
}

#[track_caller]
fn refused(line: &str, start: &str) {
    let Err(error) = parse_with(line, true) else {
        panic!("{line}: taken")
    };
    let text = error.to_string();
    assert!(matches!(error, Error::Usage(_)), "{line}: {text}");
    assert!(text.starts_with(start), "{line}: {text}");
    assert!(!text.contains('\n'), "{line}: {text}");
}

/// Goal: options have their defaults, and stand on either side of the workload. Method: a
/// line of each.
#[test]
fn options_stand_anywhere() {
    let usual = Plan {
        size: 64,
        depth: 1,
        rate: None,
        duration: Duration::from_secs(5),
        threads: 1,
        ..crate::testing::plan()
    };
    assert_eq!(config("").plan, usual);
    assert_eq!(config("echo").plan, usual);
    let changed = Plan {
        peers: 2,
        size: 16 << 10,
        depth: 3,
        duration: Duration::from_secs(4),
        warmup: Duration::from_millis(500),
        ..usual
    };
    let flags = "-c 2 -s 16k -p 3 -d 4 -w 500ms";
    assert_eq!(config(&format!("{flags} echo")).plan, changed);
    assert_eq!(config(&format!("echo {flags}")).plan, changed);
    assert_eq!(config("-s 1M -c 1").plan.size, 1 << 20);
    assert_eq!(config("-s 0").plan.size, 0);
    assert!(config("-w 0").plan.warmup.is_zero());
    assert!(config("sink").plan.warmup.is_zero());
    let of = |rate| config(rate).plan.rate.unwrap();
    assert_eq!(of("-r 50k"), Rate::steady(50_000.0));
    assert_eq!(of("idle -c 100"), Rate::steady(10.0));
    let (from, to) = (0.5, 2000.0);
    assert_eq!(of("-r 0.5:2k"), Rate { from, to });
    let poisson = |line| config(line).plan.arrival == Arrival::Poisson;
    assert!(poisson("-r 1 --arrival poisson") && poisson("idle --arrival poisson"));
    assert_eq!(config("fanout --publishers 2").plan.publishers, 2);
    let slos = config("--slo p50<1ms,p99<5ms --slo max<1s").slos;
    assert_eq!(slos.len(), 3);
    let shown = |line| parse_with(line, true).unwrap();
    assert!(matches!(shown("--help"), Command::Show(_)));
    let compares = shown("compare --rounds 3");
    assert!(matches!(compares, Command::Compare(_, 3)));
    assert!(matches!(shown("--rounds 5 churn"), Command::Repeat(_, 5)));
    assert!(matches!(shown("--baseline f"), Command::Repeat(_, 7)));
    assert!(matches!(
        shown("compare --baseline f"),
        Command::Compare(_, 7)
    ));
    let searches = shown("search churn --slo p99<1ms --arrival poisson");
    assert!(matches!(&searches, Command::Search(config, 3) if config.plan.kind == Kind::Churn));
    assert!(!searches.hides_keys());
    let sweeps = shown("sweep --rates 1k..8k --steps 4");
    assert!(matches!(sweeps, Command::Sweep(_, rates) if rates == [1e3, 2e3, 4e3, 8e3]));
    assert!(shown("search --slo p99<1ms --to h:1").hides_keys());
}

/// Goal: a cohort is taken as it was typed, once unless rounds are given. Method: groups in one
/// option and in several.
#[test]
fn cohorts() {
    let cohort = |line| config(line).cohort.unwrap();
    let typed = cohort("--cohort silent:5,drip:2 --cohort bad-hello:3@10/s churn");
    let shown: Vec<_> = typed.groups.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["silent:5", "drip:2", "bad-hello:3@10/s"]);
    assert_eq!((typed.rounds, typed.control), (1, false));
    let controlled = cohort("--cohort replay-hello:3@10/s --cohort-control --rounds 4");
    assert_eq!((controlled.rounds, controlled.control), (4, true));
    assert!(config("").cohort.is_none());
    let from = cohort("--cohort silent:1 --cohort-source-ip 127.0.0.2 --source-ip 127.0.0.3");
    assert_eq!(from.sources, ["127.0.0.2:0".parse().unwrap()]);
}

/// Goal: a server is taken in each of its forms, and only a sealed one needs keys. Method:
/// lines with and without keys in the environment.
#[test]
fn servers() {
    for (line, host, port) in [
        ("--to localhost:1 --server-pid 7", "localhost", 1),
        ("--to 127.0.0.1:65535", "127.0.0.1", 65_535),
        ("--to [::1]:9999 echo", "[::1]", 9999),
    ] {
        let to = config(line).to.unwrap();
        assert_eq!((to.host.as_str(), to.port), (host, port));
        assert_eq!(to.pid, line.contains("pid").then_some(7));
    }
    assert!(config("").to.is_none());
    assert!(parse_with("--to h:1", false).is_err());
    let others = Transport::value_variants().iter();
    for &over in others.filter(|over| **over != Transport::Sealed) {
        match parse_with(&format!("--to h:1 --over {}", name(over)), false) {
            Ok(Command::Run(config)) => assert!(config.to.unwrap().identity.is_none()),
            _ => panic!("{over:?}"),
        }
    }
}

/// Goal: an address to connect from has its interface where it needs one. Method: each
/// family; the loopback.
#[test]
fn sources_have_zones() {
    let plan = config("--source-ip 127.0.0.2,::1 --source-ip fe80::1%lo").plan;
    let shown: Vec<_> = plan.sources.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["127.0.0.2:0", "[::1]:0", "[fe80::1%1]:0"]);
    refused("--source-ip localhost", "--source-ip: an IP address");
    refused("--source-ip localhost%lo", "--source-ip: an IP address");
    refused("--source-ip fe80::1%none", "--source-ip: no interface");
    let why = "fe80::1 is a link-local address: name the interface, as in fe80::1%eth0";
    refused("--source-ip fe80::1", &format!("--source-ip: {why}"));
}

/// Lines, and how their refusals begin.
const REFUSED: &str = "\
--rounds 3 --slo p99<1s => --slo does not go with --rounds
--baseline f --hdr f => --hdr does not go with --rounds or --baseline
--rounds 3 -q => --quiet does not go with --rounds
--rounds 1001 => --rounds: at most
--baseline f --cohort silent:1 => --baseline goes with
search --slo p99<1s --baseline f => --baseline goes with
sweep --rates 1..2 --baseline f => --baseline goes with
--cohort loud:1 => --cohort: KIND:N is wanted; the kinds are silent,
--cohort silent:0 => --cohort: KIND:N is wanted, with N
--cohort silent:16384 -c 4000 => --cohort: at most
--cohort silent:9000,drip:9000 => --cohort: at most
--cohort silent:1 --rounds 1001 => --rounds: at most
--cohort silent:1 --over plain => --cohort goes with --over sealed
--cohort silent:1 --hdr f => --hdr does not go with --cohort
--cohort silent:1 --timeseries f => --timeseries does not go with --cohort
compare --cohort silent:1 => --cohort does not go with compare
sink --cohort slow-reader:1 => --cohort: a sink sends nothing
--cohort-control => --cohort-control goes with --cohort
--cohort-source-ip 127.0.0.2 => --cohort-source-ip goes with --cohort
--cohort bad-hello:1 --cohort-control => --cohort-control goes with bad-hello
--cohort silent:1@5/s --cohort-control => --cohort-control goes with bad-hello
compare --rounds 1001 => --rounds: at most 1000
search => search: --slo is wanted
search sink --slo p99<1s => search and sweep go with
search idle --slo p99<1s => search and sweep go with
sweep => sweep: --rates is wanted
sweep idle --rates 1..2 => search and sweep go with
sweep --rates 2..1 => --rates: two rates
sweep --rates 1..2 --steps 1 => --steps: from 2 to
sweep --rates 1..2 --steps 1001 => --steps: from 2 to
sweep --rates 1..2 --rounds 2 => --rounds does not go with sweep
sweep --rates 1..2 --slo p99<1s => --slo does not go with sweep
sweep --rates 1..2 -r 5 => --rate does not go with sweep
--rates 1..2 => --rates goes with sweep
--steps 2 => --steps goes with sweep
search --slo p99<1s -r 5 => --rate does not go with search
search --slo p99<1s --hdr f => --hdr does not go with search
search --slo p99<1s --rounds 1 => --rounds: at least 2 for search
search --slo p99<1s --rounds 101 => --rounds: at most 100
search --slo p99<1s --cohort silent:1 => --cohort does not go
search compare => no such workload; there are
--publishers 2 => --publishers goes with fanout
compare --publishers 2 => --publishers goes with fanout
--arrival poisson => --arrival goes with -r
sink -w 1 => -w: a sink
compare sink -w 1 => -w: a sink
sink -r 1 => -r: a sink
-r 1 --arrival never => --arrival: one of constant, poisson
--over air => --over: one of sealed, plain
--over => --over <OVER>: the value is missing
tunnel => no such workload; there are echo, sink,
echo echo => a word belongs to no option
--frob => --frob: no such option
-c => --peers <PEERS>: the value is missing
-c 0 => --peers: at least 1
-c many => --peers: a number
-c 4000000000 => -c: at most
-p 0 => --depth: at least 1
-p 4000000000 => -c times -p
-c 64 -s 16m => -c times -s
-d 0 => -d: there is nothing
--timeout 0 => --timeout: nothing
-t 65 => -t: at most 64
-t 2 -c 1 => -t: at most 64, and no more than peers
fanout -t 2 => -t: fanout takes one
fanout --publishers 129 => fanout takes at most 128
fanout --publishers 100 -p 400 => -p: at most 327
fanout -s 7 => fanout takes at most 128
--over plain -s 0 => -s: an empty message
compare -s 0 => -s: an empty message
--to h:1 --server-pid x => --server-pid:
--to h:1 --name x => --name picks
--to h:1 --over plain --keys k => keys go with --over sealed
--server-pid 1 => --server-pid goes with --to
--keys k => keys go with --to
--confkey k --authkey l => keys go with --to
compare --to h:1 => --to does not go with compare
compare --over plain => --over does not go with compare
compare --slo p99<1s => --slo does not go with compare
compare --hdr f => --hdr does not go with compare
compare --timeseries f => --timeseries does not go with
compare -q => --quiet does not go with compare
serve => serve is how a run starts
serve sealed echo => serve is how a run starts
serve plain echo x => serve is how a run starts
serve none echo 1 => serve is how a run starts
serve plain no 1 => serve is how a run starts";

/// Goal: what cannot run is refused by name, and so is an option that would be ignored.
/// Method: lines of each kind.
#[test]
fn refusals() {
    for refusal in REFUSED.lines() {
        let (line, start) = refusal.split_once(" => ").unwrap();
        refused(line, start);
    }
}

/// Goal: a value that is malformed or out of range is refused by its option. Method: many
/// values of each type.
#[test]
fn values_are_checked() {
    for (option, told, values) in [
        ("size", "a size", "17m|1g|-1|k||99999999999999999999"),
        (
            "duration",
            "a time",
            "3601|5w|s|-1|1.5.2|.|1e3|60.1m|99999999999999999999",
        ),
        ("warmup", "a time", "2h||99999999999999999999"),
        ("to", "HOST:PORT", "host|host:0|host:65536|:1|::1:1|host:"),
        (
            "rate",
            "messages per second",
            "|0|-1|1:|:1|1:2:3|nan|inf|1e12|k",
        ),
        (
            "rates",
            "two rates",
            "1|1..|..2|1..1|0..2|1..1e9|a..b|1..2..3",
        ),
    ] {
        for value in values.split('|') {
            refused(
                &format!("--{option}={value}"),
                &format!("--{option}: {told}"),
            );
        }
    }
}
