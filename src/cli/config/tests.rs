#![allow(clippy::unwrap_used)]

use clap::Parser;

use super::*;

const HEX: &str = "deadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeef";

/// Checks a command line, with `key` and another of its length in the environment.
fn with_key(key: &str, line: &str) -> Result<Config, Error> {
    let words = ["sealwire"].into_iter().chain(line.split_whitespace());
    let env = |name: &str| match name {
        "SEALWIRE_CONFKEY" => Some(key.into()),
        _ => Some(key.chars().rev().collect::<String>().into()),
    };
    Config::check(Args::try_parse_from(words).unwrap(), &env)
}

fn checked(line: &str) -> Result<Config, Error> {
    with_key(HEX, line)
}

#[track_caller]
fn refused(line: &str, start: &str) {
    let error = checked(line).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{line}: {error}");
    assert!(error.to_string().starts_with(start), "{line}: {error}");
}

fn host_of(line: &str) -> Option<String> {
    match checked(line).unwrap().role {
        Role::Server { listen, .. } => listen,
        Role::Client { host } => Some(host),
    }
}

/// The defaults: chat on port 9999 on all addresses, stdin read, native keys
/// alone, nothing to warn of.
#[test]
fn defaults() {
    let config = checked("-s").unwrap();
    let (listen, mode) = (None, ModeKind::Chat);
    assert_eq!(config.role, Role::Server { listen, mode });
    assert_eq!(config.port, 9999);
    assert!(!config.no_input);
    assert!(config.keys.native.is_some() && config.keys.classic.is_none());
    assert_eq!(config.limits.max_message, 16 << 20);
    assert_eq!(config.warnings, [""; 0]);
    assert!(checked("-c h --no-input").unwrap().no_input);
}

/// Exactly one role, at most one mode, and the server's options with a
/// server only: each refused by name.
#[test]
fn what_does_not_go_together() {
    refused("", "give --server or --client HOST (see --help)");
    refused("--port 1", "give --server or --client");
    refused("-s -c h", "--server and --client");
    refused("-s --echo --relay", "--echo and --relay");
    refused("-s --sink --relay --echo", "--echo and --sink");
    for option in ["--listen ::1", "--echo", "--sink", "--relay"] {
        let name = option.split(' ').next().unwrap();
        refused(
            &format!("-c h {option}"),
            &format!("{name} is for a server"),
        );
    }
}

/// Each mode by its option.
#[test]
fn modes() {
    for (option, wanted) in [
        ("--echo", ModeKind::Echo),
        ("--sink", ModeKind::Sink),
        ("--relay", ModeKind::Relay),
    ] {
        match checked(&format!("-s {option}")).unwrap().role {
            Role::Server { mode, .. } => assert_eq!(mode, wanted),
            Role::Client { .. } => panic!("{option}"),
        }
    }
}

/// Hosts and addresses: brackets go, ports do not belong, empty is refused.
#[test]
fn hosts() {
    for (typed, bare) in [
        ("example.org", "example.org"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
    ] {
        assert_eq!(host_of(&format!("-c {typed}")).as_deref(), Some(bare));
        assert_eq!(
            host_of(&format!("-s --listen {typed}")).as_deref(),
            Some(bare)
        );
    }
    refused("--client=", "--client: a name or an address is wanted");
    refused("-c []", "--client: a name or an address is wanted");
    refused("-s --listen=", "--listen: a name or an address is wanted");
    refused(
        "-c host:99",
        "--client: a name or an address is wanted; the port",
    );
    refused(
        "-c [::1]:99",
        "--client: a name or an address is wanted; the port",
    );
}

/// The whole range of a port; 0 for a server alone.
#[test]
fn ports() {
    assert_eq!(checked("-s --port 0").unwrap().port, 0);
    assert_eq!(checked("-c h --port 1").unwrap().port, 1);
    assert_eq!(checked("-c h --port 65535").unwrap().port, 65535);
    refused("-c h --port 0", "--port: a number from 1 to 65535");
    for typed in ["65536", "-1", "x", "", "1.0"] {
        refused(
            &format!("-s --port={typed}"),
            "--port: a number from 0 to 65535",
        );
    }
}

/// Sizes with every suffix, and both ends of what is allowed; what must hold
/// a whole message grows with it.
#[test]
fn sizes() {
    for (typed, bytes) in [
        ("1", 1),
        ("3k", 3 << 10),
        ("500K", 500 << 10),
        ("7m", 7 << 20),
        ("1g", 1 << 30),
        ("1024m", 1 << 30),
    ] {
        let limits = checked(&format!("-s --max-message {typed}"))
            .unwrap()
            .limits;
        assert_eq!(limits.max_message, bytes, "{typed}");
        assert!(limits.max_queue >= bytes && limits.max_queued >= limits.max_queue);
        assert!(limits.max_assembling >= bytes);
    }
    for typed in [
        "0",
        "0k",
        "1025m",
        "2g",
        "99999999999999999999",
        "",
        "k",
        "-1",
        "1t",
        "1é",
    ] {
        refused(
            &format!("-s --max-message={typed}"),
            "--max-message: a size from 1 to 1g",
        );
    }
    refused("-s --max-message=18014398509481984k", "--max-message:");
}

/// Goal: memory is what is asked for, where a message fits, and what all receivers
/// have grows with what one has. Method: both options at their least, beyond, and
/// with a larger message; the number of peers from end to end.
#[test]
fn bounds() {
    let whole = Limits::whole(16 << 20);
    for option in ["--max-queue", "--max-assembling"] {
        refused(&format!("-s {option} {}", whole - 1), option);
        refused(
            &format!("-s {option} 1t"),
            &format!("{option}: a size up to 1024g"),
        );
        refused(
            &format!("-s {option} 1025g"),
            &format!("{option}: a size up to 1024g"),
        );
        refused(&format!("-s --max-message 17m {option} {whole}"), option);
        let error = checked(&format!("-s {option} 1m")).unwrap_err();
        assert!(error.to_string().contains(&whole.to_string()), "{error}");
    }
    let limits = |line: &str| checked(line).unwrap().limits;
    assert_eq!(limits(&format!("-s --max-queue {whole}")).max_queue, whole);
    // What the help calls the defaults are.
    let usual = "-s --max-message 16m --max-queue 17m --max-assembling 256m --max-peers 1048576";
    assert_eq!(
        format!("{:?}", limits(usual)),
        format!("{:?}", limits("-s"))
    );
    let large = limits("-c h --max-queue 1g --max-assembling 2g");
    assert_eq!((large.max_queue, large.max_queued), (1 << 30, 2 << 30));
    assert_eq!(large.max_assembling, 2 << 30);
    assert_eq!(
        limits("-s --max-message 1 --max-queue 100k").max_queue,
        100 << 10
    );
    for count in [1, 5000, 1 << 20] {
        assert_eq!(limits(&format!("-s --max-peers {count}")).max_peers, count);
    }
    for typed in ["0", "1048577", "x", "", "1k"] {
        refused(&format!("-s --max-peers={typed}"), "--max-peers: a number");
    }
    refused("-c h --max-peers 5", "--max-peers is for a server");
}

/// How long a silent peer is waited for: every unit, the default, for ever, and what is
/// no time.
#[test]
fn idle_times() {
    let idle = |line: &str| checked(line).unwrap().limits.max_idle;
    assert_eq!(idle("-s"), Some(Duration::from_secs(3600)));
    for (typed, seconds) in [
        ("90", 90),
        ("90s", 90),
        ("15m", 900),
        ("2h", 7200),
        ("1d", 86_400),
    ] {
        let wanted = Some(Duration::from_secs(seconds));
        assert_eq!(idle(&format!("-c h --max-idle {typed}")), wanted, "{typed}");
    }
    assert_eq!(
        idle("-s --max-idle 500ms"),
        Some(Duration::from_millis(500))
    );
    assert_eq!(idle("-s --max-idle 0"), None);
    for typed in ["", "x", "1w", "-1", "366d", "99999999999999999999"] {
        refused(
            &format!("-s --max-idle={typed}"),
            "--max-idle: a time up to 365d",
        );
    }
}

/// Classic says that it is weak; a server speaks both, or classic alone if
/// the keys are for no more; a client speaks classic only.
#[test]
fn classic() {
    let formats = |key, line| {
        let config = with_key(key, line).unwrap();
        let keys = (config.keys.native.is_some(), config.keys.classic.is_some());
        (keys, config.warnings)
    };
    let weak = CLASSIC_IS_WEAK.to_owned();
    let only = CLASSIC_ONLY.to_owned();
    let both = (true, true);
    let classic = (false, true);
    assert_eq!(formats(HEX, "-s --classic"), (both, vec![weak.clone()]));
    assert_eq!(
        formats("any", "-s --classic"),
        (classic, vec![weak.clone(), only])
    );
    assert_eq!(
        formats(HEX, "-c h --classic"),
        (classic, vec![weak.clone()])
    );
    assert_eq!(formats("any", "-c h --classic"), (classic, vec![weak]));
    assert!(with_key("any", "-s").is_err());
}
