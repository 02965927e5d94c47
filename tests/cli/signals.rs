//! Signals that were ignored when the program started, and signals that come before it
//! serves. What the others lead to is in [`crate::stopping`].

use std::fs;
use std::net::UdpSocket;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::program::{A_WHILE, CLIENT, Launch, PATIENCE, SERVER};

/// Goal: an ignored signal stays ignored, as `nohup` and a shell's background jobs want
/// it. Method: each signal that the program handles, ignored, to a server and to a client;
/// both go on, and another signal still ends them.
#[test]
fn ignored_signals_stay_ignored() {
    for (name, ignored, other) in [
        ("HUP", Signal::HUP, Signal::TERM),
        ("INT", Signal::INT, Signal::TERM),
        ("TERM", Signal::TERM, Signal::INT),
        ("USR1", Signal::USR1, Signal::TERM),
    ] {
        let script = format!("trap '' {name}; exec \"$@\"");
        let server = Launch::by_shell(&script, &format!("{SERVER} --echo")).start();
        let args = format!("{CLIENT} {}", server.port());
        let mut client = Launch::by_shell(&script, &args).start();
        client.line("connected to");
        server.signal(ignored);
        client.signal(ignored);
        sleep(A_WHILE);
        client.say("still here");
        client.prints("still here");
        client.finish("");
        server.signal(other);
        let ended = server.ends_with(0);
        assert!(!ended.stderr.contains(&format!("SIG{name}")), "{ended}");
    }
}

/// Goal: the program hears a signal while it looks a name up. Method: a name server that
/// never answers, which a mount namespace shows to the program; servers and a client.
#[test]
fn a_name_that_hangs() {
    // The address is this test's own, and port 53 takes rights.
    let Ok(silent) = UdpSocket::bind("127.0.53.53:53") else {
        return eprintln!("skipped: this user may not be a name server");
    };
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("resolv.conf");
    let servers = "nameserver 127.0.53.53\noptions timeout:20 attempts:1\n";
    fs::write(&config, servers).unwrap();
    let mount = format!("mount --bind {} /etc/resolv.conf", config.display());
    let unshared = |args: &str| {
        let script = format!("exec unshare -m sh -c '{mount} && exec \"$@\"' sh \"$@\"");
        Launch::by_shell(&script, args)
    };
    if !unshared("--version").succeeds() {
        return eprintln!("skipped: no name server can be put in a namespace here");
    }
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    for (name, args) in [
        ("one-shot", "--server --port 0 --listen"),
        ("serving", "--server --port 0 --echo --listen"),
        ("calling", "--port 9 --client"),
    ] {
        let program = unshared(&format!("{args} {name}.example")).empty_input();
        let program = program.start();
        // Once it has asked, it waits for the answer.
        let mut question = [0; 512];
        let asked = |question: &[u8]| String::from_utf8_lossy(question).contains(name);
        while !asked(&question) {
            silent.recv(&mut question).expect("it looks the name up");
        }
        let start = Instant::now();
        program.signal(Signal::INT);
        program.ends_with(130);
        assert!(start.elapsed() < Duration::from_secs(3), "{args}");
    }
}
