//! What is typed, and what comes of it.
#![allow(clippy::unwrap_used)]

use super::*;

fn parsed(line: &str) -> Result<Command, Error> {
    let words = ["loadgen"].into_iter().chain(line.split_whitespace());
    let env = |name: &str| match name {
        "SEALWIRE_CONFKEY" => Some("5a".repeat(32).into()),
        _ => Some("5b".repeat(32).into()),
    };
    parse(words.map(OsString::from), &env)
}

fn config(line: &str) -> Config {
    match parsed(line).unwrap() {
        Command::Run(config) => *config,
        _ => panic!("{line}: not a run"),
    }
}

#[track_caller]
fn refused(line: &str, start: &str) {
    let Err(error) = parsed(line) else {
        panic!("{line}: taken")
    };
    let text = error.to_string();
    assert!(matches!(error, Error::Usage(_)), "{line}: {text}");
    assert!(text.starts_with(start), "{line}: {text}");
    assert!(!text.contains('\n'), "{line}: {text}");
}

/// clap's own check of the definitions.
#[test]
fn definitions_hold() {
    use clap::CommandFactory;
    Args::command().debug_assert();
}

/// The defaults, and every option on either side of the workload.
#[test]
fn options_stand_anywhere() {
    let usual = Plan {
        kind: Kind::Echo,
        over: Over::Sealed,
        peers: 64,
        publishers: 1,
        size: 64,
        depth: 1,
        rate: None,
        arrival: Arrival::Constant,
        duration: Duration::from_secs(5),
        warmup: Duration::from_secs(1),
        timeout: Duration::from_secs(5),
        threads: 1,
        sources: Vec::new(),
        seed: 1,
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
    assert!(matches!(parsed("--help").unwrap(), Command::Show(_)));
}

/// The server's address in each of its forms; keys from the environment.
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
    assert!(matches!(
        parsed("serve sealed echo 64"),
        Ok(Command::Serve(..))
    ));
}

/// Goal: addresses to connect from are taken with their interfaces, and one of which
/// every interface may have its own not without. Method: each family; the loopback.
#[test]
fn sources_have_zones() {
    let named = config("--source-ip 127.0.0.2,::1 --source-ip fe80::1%lo").plan;
    let shown = named.sources.iter().map(|source| source.to_string());
    let shown: Vec<_> = shown.collect();
    assert_eq!(shown, ["127.0.0.2:0", "[::1]:0", "[fe80::1%1]:0"]);
    refused("--source-ip localhost", "--source-ip: an IP address");
    refused("--source-ip localhost%lo", "--source-ip: an IP address");
    refused("--source-ip fe80::1%none", "--source-ip: no interface");
    refused(
        "--source-ip fe80::1",
        "--source-ip: fe80::1 is a link-local address: name the interface, as in fe80::1%eth0",
    );
}

/// Goal: only what seals needs keys. Method: a server that was there, without any in
/// the environment.
#[test]
fn keys_are_for_what_seals() {
    let parsed = |line: &str| {
        let words = ["loadgen"].into_iter().chain(line.split_whitespace());
        parse(words.map(OsString::from), &|_| None)
    };
    assert!(parsed("--to h:1").is_err());
    for &over in Over::ALL.iter().filter(|over| **over != Over::Sealed) {
        match parsed(&format!("--to h:1 --over {}", over.name())) {
            Ok(Command::Run(config)) => assert!(config.to.unwrap().identity.is_none()),
            _ => panic!("{over:?}"),
        }
    }
    refused(
        "--to h:1 --over plain --keys k",
        "keys go with --over sealed",
    );
}

/// Goal: what a workload has no use for is not silently ignored, and what it has one
/// for is taken.
#[test]
fn misfits() {
    refused("--rounds 3", "--rounds goes with compare");
    refused("--publishers 2", "--publishers goes with fanout");
    refused("compare --publishers 2", "--publishers goes with fanout");
    refused("--arrival poisson", "--arrival goes with -r");
    refused("sink -w 1", "-w: a sink");
    refused("compare sink -w 1", "-w: a sink");
    refused("sink -r 1", "-r: a sink");
    refused(
        "-r 1 --arrival never",
        "--arrival: one of constant, poisson",
    );
    assert_eq!(
        config("-r 1 --arrival poisson").plan.arrival,
        Arrival::Poisson
    );
    assert_eq!(
        config("idle --arrival poisson").plan.arrival,
        Arrival::Poisson
    );
    assert_eq!(config("fanout --publishers 2").plan.publishers, 2);
    assert!(matches!(
        parsed("compare --rounds 3"),
        Ok(Command::Compare(_, 3))
    ));
}

/// Whatever cannot run is refused by name.
#[test]
fn refusals() {
    refused("tunnel", "no such workload");
    refused("echo echo", "a word belongs to no option");
    refused("--frob", "--frob: no such option");
    refused("-c", "--peers <PEERS>: the value is missing");
    refused("-c 0", "-c: at least 1");
    refused("-c many", "-c: a number");
    refused("-c 4000000000", "-c: at most ");
    refused("-p 0", "-p: at least 1");
    refused("-p 4000000000", "-c times -p");
    refused("-c 64 -s 16m", "-c times -s");
    for size in ["17m", "1g", "-1", "k", "", "99999999999999999999"] {
        refused(&format!("--size={size}"), "-s: a size");
    }
    for time in ["3601", "5w", "s", "-1", "1.5", "99999999999999999999ms"] {
        refused(&format!("--duration={time}"), "-d: a time");
        refused(&format!("--warmup={time}"), "-w: a time");
    }
    refused("-d 0", "-d: there is nothing");
    for to in ["host", "host:0", "host:65536", ":1", "::1:1", "host:"] {
        refused(&format!("--to {to}"), "--to: HOST:PORT");
    }
    refused("--to h:1 --server-pid x", "--server-pid: a number");
    refused("--to h:1 --name x", "--name picks");
    for option in [
        "--to h:1",
        "--over plain",
        "--slo p99<1s",
        "--hdr f",
        "--timeseries f",
        "-q",
    ] {
        let (name, _) = option.split_once(' ').unwrap_or((option, ""));
        refused(
            &format!("compare {option}"),
            &format!("{name} does not go with compare"),
        );
    }
    refused("compare -s 0", "-s: an empty message");
    refused("--server-pid 1", "--server-pid goes with --to");
    refused("--keys k", "keys go with --to");
    refused("--confkey k --authkey l", "keys go with --to");
}
