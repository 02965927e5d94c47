//! Runs the program.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// Both secrets of the servers that tests start.
pub(crate) const KEYS: [&str; 2] = [
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
    "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100",
];

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// That of a program which has ended by itself.
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code().unwrap(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The same, once it has ended with `code`.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// The figures, of a call with `--json -`. The account of a run holds.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let figures = serde_json::from_str::<Value>(&self.stdout);
        let figures = figures.unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert_ne!(figures["account"]["holds"], false, "{self:?}");
        figures
    }

    /// A figure, named as in `/account/completed`.
    #[track_caller]
    pub(crate) fn number(&self, name: &str) -> f64 {
        let figures = self.json();
        let figure = figures.pointer(name).and_then(Value::as_f64);
        figure.unwrap_or_else(|| panic!("{name}: {self:?}"))
    }

    /// That it ended with `code`, and one line on stderr with `part`.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, part: &str) {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        assert!(self.stderr.contains(part), "{self:?}");
    }
}

/// The program with `flags`, to be called; [`KEYS`] are in its environment.
pub(crate) fn command(flags: &str) -> Command {
    with_keys(Command::new(env!("CARGO_BIN_EXE_loadgen")), flags)
}

/// The same, as a shell starts it once it has done `before`.
pub(crate) fn shell(before: &str, flags: &str) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{before}; exec \"$0\" \"$@\"")])
        .arg(env!("CARGO_BIN_EXE_loadgen"));
    with_keys(shell, flags)
}

fn with_keys(mut command: Command, flags: &str) -> Command {
    let [confkey, authkey] = KEYS;
    command
        .args(flags.split_whitespace())
        .env("SEALWIRE_CONFKEY", confkey)
        .env("SEALWIRE_AUTHKEY", authkey)
        .stdin(Stdio::null());
    command
}

/// Calls the program with `flags`.
pub(crate) fn loadgen(flags: &str) -> Run {
    call(command(flags))
}

pub(crate) fn call(mut command: Command) -> Run {
    Run::of(command.output().unwrap())
}

/// Calls the program with `flags` and this stdout.
pub(crate) fn call_to(stdout: Stdio, flags: &str) -> Run {
    let mut program = command(flags);
    program.stdout(stdout);
    call(program)
}

/// Starts a program in a group of its own, and keeps what it prints.
pub(crate) fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).spawn().unwrap()
}

/// A stdout or stderr whose reader is gone.
pub(crate) fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// The address of a port that was free a moment ago.
pub(crate) fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Starts a plain server that echoes messages of 64 B after `delay`, until the tests end. Returns
/// its address, and from where each connection comes.
pub(crate) fn plain_echo(delay: Duration) -> (SocketAddr, Receiver<IpAddr>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, from) = mpsc::channel();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            // A test that does not ask drops the receiver.
            let _ = sender.send(socket.peer_addr().unwrap().ip());
            thread::spawn(move || {
                let mut bytes = [0; 64];
                while socket.read_exact(&mut bytes).is_ok() {
                    thread::sleep(delay);
                    socket.write_all(&bytes).unwrap();
                }
            });
        }
    });
    (address, from)
}
