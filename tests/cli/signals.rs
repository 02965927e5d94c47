//! Signals that were ignored when the program started, and signals that come before
//! it serves.

use std::fs;
use std::net::UdpSocket;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::program::{A_WHILE, Launch};

/// Goal: what was ignored stays ignored, as `nohup` and a shell's background jobs
/// want it. Method: each signal that ends the program, ignored, to a server and to
/// a client; both go on, and another signal still ends them.
#[test]
fn ignored_signals_stay_ignored() {
    for (name, ignored, other) in [
        ("HUP", Signal::HUP, Signal::TERM),
        ("INT", Signal::INT, Signal::TERM),
        ("TERM", Signal::TERM, Signal::INT),
        ("USR1", Signal::USR1, Signal::TERM),
    ] {
        let script = format!("trap '' {name}; exec \"$@\"");
        let args = "--server --listen 127.0.0.1 --port 0 --echo";
        let server = Launch::by_shell(&script, args).start();
        let args = format!("--client 127.0.0.1 --port {}", server.port());
        let mut client = Launch::by_shell(&script, &args).start();
        client.line("connected to");
        server.signal(ignored);
        client.signal(ignored);
        std::thread::sleep(A_WHILE);
        client.say("still here");
        client.prints("still here");
        client.end_input();
        client.ends_with(0);
        server.signal(other);
        let ended = server.ends_with(0);
        assert!(!ended.stderr.contains(&format!("SIG{name}")), "{ended}");
    }
}

/// Goal: a hangup that is not ignored is told, so that its exit code is not taken
/// for an end that somebody asked for.
#[test]
fn a_hangup_is_told() {
    let server = Launch::server("--echo").start();
    server.port();
    server.signal(Signal::HUP);
    let ended = server.ends_with(0);
    assert!(ended.stderr.contains("SIGHUP: leaving"), "{ended}");
}

/// Goal: a signal is heard while a name is looked up. Method: a name server that
/// never answers, which the program is shown in a mount namespace of its own; a
/// server and a client.
#[test]
fn a_name_that_hangs() {
    // The address is this test's own, and port 53 takes rights.
    let Ok(silent) = UdpSocket::bind("127.0.53.53:53") else {
        return eprintln!("skipped: this user may not be a name server");
    };
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("resolv.conf");
    fs::write(
        &config,
        "nameserver 127.0.53.53\noptions timeout:20 attempts:1\n",
    )
    .unwrap();
    let script = format!(
        "mount --bind {} /etc/resolv.conf && exec \"$@\"",
        config.display()
    );
    let unshared = |args: &str| {
        let mut words = vec!["-c".to_owned(), script.clone(), "sh".to_owned()];
        words.push(env!("CARGO_BIN_EXE_sealwire").to_owned());
        words.extend(args.split_whitespace().map(str::to_owned));
        let launch = Launch::program("unshare").arg("-m").arg("sh");
        words.iter().fold(launch, Launch::arg)
    };
    let mount = script.replace("exec \"$@\"", "true");
    let may = Launch::program("unshare")
        .arg("-m")
        .arg("sh")
        .arg("-c")
        .arg(mount);
    if !may.succeeds() {
        return eprintln!("skipped: no name server can be put in a namespace here");
    }
    silent
        .set_read_timeout(Some(crate::program::PATIENCE))
        .unwrap();
    for (name, args, code) in [
        ("one-shot", "--server --port 0 --listen", 130),
        ("serving", "--server --port 0 --echo --listen", 130),
        ("calling", "--port 9 --client", 130),
    ] {
        let program = unshared(&format!("{args} {name}.example")).stdin(Stdio::null());
        let program = program.start();
        // It has asked, so it waits for the answer.
        let mut question = [0; 512];
        while !question
            .windows(name.len())
            .any(|part| part == name.as_bytes())
        {
            silent.recv(&mut question).expect("it looks the name up");
        }
        let start = Instant::now();
        program.signal(Signal::INT);
        program.ends_with(code);
        assert!(start.elapsed() < Duration::from_secs(3), "{args}");
    }
}
