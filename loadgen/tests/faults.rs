//! Servers that do not echo as they should: the program notices.
//!
//! Each is an event loop of the library on a thread of this test, with a mode
//! that is at fault once.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::ErrorKind;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::{KEYS, Run, call, command, loadgen};
use sealwire::cli::args::KeyArgs;
use sealwire::crypto::kernel::Kernel;
use sealwire::endpoint::mode::{HandedOn, Message, Mode, Receivers};
use sealwire::endpoint::transport::PeerId;
use sealwire::endpoint::{Context, Endpoint, Leaves, Setup};
use sealwire::error::{Abort, Reason};
use sealwire::net::clock::Clock;
use sealwire::net::event_loop::EventLoop;
use sealwire::net::listen::Listener;

/// What a server does instead of echoing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It does not.
    None,
    Flip,
    Shorten,
    Swallow,
    Double,
    /// Answers with a message of before.
    Reorder,
    /// Ends the connection properly, but early.
    Finish,
    Abort,
}

/// Echoes, but for the twentieth message.
struct Faulty {
    fault: Fault,
    messages: u32,
    previous: Vec<u8>,
}

impl Mode for Faulty {
    fn receivers(&self) -> Receivers {
        Receivers::Sender
    }

    fn message(&mut self, context: &mut Context<'_>, peer: PeerId, message: Message<'_>) {
        let parts = message.spans().iter().map(|&span| context.bytes(span));
        let mut bytes = parts.collect::<Vec<_>>().concat();
        self.messages += 1;
        if self.messages != 20 {
            assert!(context.send(peer, message));
            self.previous = bytes;
            return;
        }
        match self.fault {
            Fault::None => {}
            Fault::Flip => bytes[5] ^= 1,
            Fault::Shorten => bytes.truncate(bytes.len() - 1),
            Fault::Swallow => return,
            Fault::Double => {
                assert!(context.send(peer, message));
            }
            Fault::Reorder => bytes.clone_from(&self.previous),
            Fault::Finish => return context.finish(peer),
            Fault::Abort => return context.abort(peer, Abort::new(Reason::TOO_SLOW, "at fault")),
        }
        assert!(context.send_bytes(peer, &bytes));
    }

    fn fin(&mut self, context: &mut Context<'_>, peer: PeerId) -> HandedOn {
        context.finish(peer);
        HandedOn::Now
    }
}

/// A server with `fault` and [`KEYS`]; returns its port. It serves on until the
/// test ends.
fn serve(fault: Fault) -> u16 {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let [confkey, authkey] = KEYS.map(|key| Some(key.into()));
        let env = |name: &str| match name {
            "SEALWIRE_CONFKEY" => confkey.clone(),
            _ => authkey.clone(),
        };
        let loaded = KeyArgs::default().load(false, &env).unwrap();
        let kernel = Kernel::chosen().unwrap();
        let mut setup = Setup::new(kernel, Leaves::WhenStopped, rand::make_rng());
        setup.identity = loaded.keys.native;
        let mode = Faulty {
            fault,
            messages: 0,
            previous: Vec::new(),
        };
        let mut events = EventLoop::new(Endpoint::new(setup, mode), Clock::start()).unwrap();
        let listener = Listener::on_first(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        sender.send(listener.local_addr().port()).unwrap();
        events.listen(listener).unwrap();
        loop {
            events.turn(None).unwrap();
            events.take_reports();
        }
    });
    receiver.recv_timeout(Duration::from_secs(60)).unwrap()
}

/// Loads a server that has `fault`.
fn load(fault: Fault, flags: &str) -> Run {
    let flags = format!(
        "--to 127.0.0.1:{} -d 500ms -w 0 --timeout 2s --json - {flags}",
        serve(fault)
    );
    let run = loadgen(&flags);
    let figures = run.json();
    assert_eq!(figures["account"]["holds"], true, "{run:?}");
    for unknown in ["server_cpu_us_per_message", "server_kernel"] {
        assert!(figures[unknown].is_null(), "{unknown}: {run:?}");
    }
    assert_eq!(figures["kernel"], Kernel::chosen().unwrap().name());
    run
}

/// Lost, wrong, failed peers.
fn faults(run: &Run) -> [u64; 3] {
    let figures = run.json();
    ["lost_messages", "wrong_messages", "failed_peers"].map(|name| figures[name].as_u64().unwrap())
}

/// Goal: the mode without a fault is taken for the echo that it is.
#[test]
fn none() {
    let run = load(Fault::None, "-c 3 -p 4");
    assert_eq!((run.code, faults(&run)), (0, [0, 0, 0]), "{run:?}");
}

/// Goal: the table names our kernel alone, where the server is not ours to know.
#[test]
fn a_server_that_was_there() {
    let flags = format!("--to 127.0.0.1:{} -d 100ms -w 0", serve(Fault::None));
    let run = loadgen(&flags);
    let kernel = Kernel::chosen().unwrap().name();
    let line = format!("\nkernel {kernel} here; the server's is not known\n");
    assert!(run.code == 0 && run.stdout.contains(&line), "{run:?}");
}

/// Goal: one reply that differs is one wrong message, and all else is well.
/// Method: a bit, the length, and the message before it instead.
#[test]
fn another_reply() {
    for fault in [Fault::Flip, Fault::Shorten, Fault::Reorder] {
        for flags in ["-c 1", "-c 3 -p 4"] {
            let run = load(fault, flags);
            assert_eq!(
                (run.code, faults(&run)),
                (6, [0, 1, 0]),
                "{fault:?} {run:?}"
            );
        }
    }
}

/// Goal: a reply that does not come is lost. Method: one message at a time, so
/// that nothing follows it, and it is waited for.
#[test]
fn no_reply() {
    let run = load(Fault::Swallow, "-c 1");
    assert_eq!((run.code, faults(&run)), (6, [1, 0, 0]), "{run:?}");
}

/// Goal: a reply that comes twice is noticed, also when messages are under way
/// behind it. Method: one message at a time, and several.
#[test]
fn two_replies() {
    for flags in ["-c 1", "-c 1 -p 4"] {
        let run = load(Fault::Double, flags);
        let [lost, wrong, failed] = faults(&run);
        assert!(wrong > 0, "{run:?}");
        assert_eq!((run.code, lost, failed), (6, 0, 0), "{run:?}");
    }
}

/// Goal: a peer that leaves early has failed, its messages are lost, and why is
/// told; the others go on. Method: the server ends, or gives up on, one of two.
#[test]
fn early_end() {
    for (fault, why) in [
        (Fault::Finish, "the server ended the connection early"),
        (Fault::Abort, "the peer gave up: too slow: at fault"),
    ] {
        let run = load(fault, "-c 2");
        assert_eq!((run.code, faults(&run)), (6, [1, 0, 1]), "{run:?}");
        assert_eq!(run.json()["errors"], serde_json::json!({ why: 1 }));
        assert_eq!(run.json()["complete_peers"], 1);
        assert!(run.json()["measured_messages"].as_u64().unwrap() > 20);
    }
}

/// Goal: with other keys nothing runs, and the text says so.
#[test]
fn other_keys() {
    let port = serve(Fault::None);
    let mut program = command(&format!("--to 127.0.0.1:{port}"));
    program.env("SEALWIRE_AUTHKEY", "7e".repeat(32));
    let run = call(program);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run:?}");
    assert!(run.stderr.contains("keys or service differ"), "{run:?}");
}

/// Goal: keys of a server that runs are shown to nobody meanwhile. Method: where others
/// would see them, of a run under way: they are overwritten there, and only root may look.
#[test]
fn keys_are_hidden() {
    let [confkey, authkey] = KEYS;
    let flags = format!("--to 127.0.0.1:{} -c 1 -d 2 -q", serve(Fault::None));
    for (in_arguments, folder_has) in [(false, "environ"), (true, "cmdline")] {
        let mut program = command(&flags);
        if in_arguments {
            program.args(["--confkey", confkey, &format!("--authkey={authkey}")]);
        }
        program.stdout(Stdio::null());
        let mut child = program.spawn().unwrap();
        let path = format!("/proc/{}/{folder_has}", child.id());
        let hidden = || match fs::read_to_string(&path) {
            Ok(text) => text.contains("********") && !text.contains(&confkey[..8]),
            Err(error) => error.kind() == ErrorKind::PermissionDenied,
        };
        while !hidden() {
            assert!(child.try_wait().unwrap().is_none(), "{path}: not hidden");
            thread::sleep(Duration::from_millis(5));
        }
        assert!(child.wait().unwrap().success());
    }
}
