//! Servers with a fault: the program notices each.
//!
//! Each is an event loop of the library on a thread of this test, with a mode that has one
//! fault.

use std::fs;
use std::io::ErrorKind;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use sealwire::{
    Abort, Clock, Context, Endpoint, EventLoop, Leaves, Listener, Message, Mode, PeerId, Reason,
    Receivers, Secret, Setup,
};
use sealwire_cli::args::KeyArgs;

use crate::program::{KEYS, Run, call, command, loadgen};

/// What a server does with the twentieth message, instead of echoing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Flip,
    Shorten,
    Swallow,
    Double,
    /// Answers with the message before.
    Reorder,
    /// Ends the connection properly, but early.
    Finish,
    Abort,
}

/// Echoes all messages but the twentieth.
struct Faulty {
    fault: Fault,
    messages: u32,
    previous: Vec<u8>,
}

impl Mode for Faulty {
    fn receivers(&self) -> Receivers {
        Receivers::Sender
    }

    fn message(&mut self, context: &mut Context, peer: PeerId, message: Message<'_>) {
        let mut bytes = context.pieces(message).collect::<Vec<_>>().concat();
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
}

/// Starts a server with `fault` and [`KEYS`], which serves until the test ends. Returns the
/// option that names it.
pub(crate) fn serve(fault: Fault) -> String {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let [confkey, authkey] = KEYS.map(|key| Some(Secret::new(key.into())));
        let typed = KeyArgs {
            confkey,
            authkey,
            ..KeyArgs::default()
        };
        let keys = typed.load(false, &|_| None).unwrap();
        let kernel = crate::chosen::kernel();
        let mut setup = Setup::new(kernel, Leaves::WhenStopped, rand::random());
        setup.identity = keys.native;
        let mode = Faulty {
            fault,
            messages: 0,
            previous: Vec::new(),
        };
        let mut events = EventLoop::new(Endpoint::new(setup, mode), Clock::start()).unwrap();
        let listener = Listener::on_first(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        sender.send(listener.local_addr().port()).unwrap();
        events.accept_from(listener).unwrap();
        loop {
            events.turn(None).unwrap();
            events.take_reports();
        }
    });
    let port = receiver.recv_timeout(Duration::from_secs(60)).unwrap();
    format!("--to 127.0.0.1:{port}")
}

/// Loads a server that has `fault`.
fn load(fault: Fault, flags: &str) -> Run {
    let to = serve(fault);
    let run = loadgen(&format!("{to} -d 500ms -w 0 --timeout 2s --json - {flags}"));
    let figures = run.json();
    for unknown in ["server_cpu_us_per_message", "server_kernel"] {
        assert!(figures[unknown].is_null(), "{unknown}: {run:?}");
    }
    assert_eq!(figures["kernel"], crate::chosen::kernel().name());
    run
}

/// Lost, wrong, failed peers.
fn faults(run: &Run) -> [u64; 3] {
    let figures = run.json();
    ["lost_messages", "wrong_messages", "failed_peers"].map(|name| figures[name].as_u64().unwrap())
}

/// Goal: a server without a fault passes; the table names our kernel, because the server's is
/// unknown. Method: a run of each output.
#[test]
fn none() {
    let run = load(Fault::None, "-c 3 -p 4");
    assert_eq!((run.code, faults(&run)), (0, [0, 0, 0]), "{run:?}");
    let run = loadgen(&format!("{} -d 100ms -w 0", serve(Fault::None)));
    let kernel = crate::chosen::kernel().name();
    let line = format!("\nkernel {kernel} here; the server's is not known\n");
    assert!(run.code == 0 && run.stdout.contains(&line), "{run:?}");
}

/// Goal: a wrong reply counts as one, a missing reply as lost, and a repeated one makes at least
/// one reply wrong. Method: a bit, the length, the message before it, none, and twice; one
/// message at a time, and several.
#[test]
fn replies() {
    for (fault, flags, lost) in [
        (Fault::Flip, "-c 1", 0),
        (Fault::Flip, "-c 3 -p 4", 0),
        (Fault::Shorten, "-c 1", 0),
        (Fault::Shorten, "-c 3 -p 4", 0),
        (Fault::Reorder, "-c 1", 0),
        (Fault::Reorder, "-c 3 -p 4", 0),
        (Fault::Swallow, "-c 1", 1),
        (Fault::Double, "-c 1", 0),
        (Fault::Double, "-c 1 -p 4", 0),
    ] {
        let run = load(fault, flags);
        let [was_lost, wrong, failed] = faults(&run);
        assert_eq!((run.code, was_lost, failed), (6, lost, 0), "{run:?}");
        match fault {
            Fault::Double => assert!(wrong > 0, "{run:?}"),
            _ => assert_eq!(wrong, 1 - lost, "{run:?}"),
        }
    }
}

/// Goal: a peer that leaves early has failed, with the reason, and its messages are lost; the
/// others go on. Method: the server ends, or aborts, one of two.
#[test]
fn early_end() {
    for (fault, why) in [
        (Fault::Finish, "the server ended the connection early"),
        (Fault::Abort, "the peer gave up: too slow: at fault"),
    ] {
        let run = load(fault, "-c 2");
        assert_eq!((run.code, faults(&run)), (6, [1, 0, 1]), "{run:?}");
        assert_eq!(run.json()["errors"], serde_json::json!({ why: 1 }));
        assert_eq!(run.number("/complete_peers"), 1.0);
        assert!(run.number("/measured_messages") > 20.0);
    }
}

/// Goal: with other keys no run begins, and the text says so. Method: one key differs.
#[test]
fn other_keys() {
    let mut program = command(&serve(Fault::None));
    program.env("SEALWIRE_AUTHKEY", "7e".repeat(32));
    call(program).failed(1, "keys or service differ");
}

/// Goal: no other user sees the keys of a server while it is loaded. Method: look where the
/// system shows them in a run: they are overwritten there, and only root may look.
#[test]
fn keys_are_hidden() {
    let [confkey, authkey] = KEYS;
    let flags = format!("{} -c 1 -d 2 -q", serve(Fault::None));
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
