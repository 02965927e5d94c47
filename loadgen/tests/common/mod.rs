//! Runs the program. Not every test needs all of this.
#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

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
    /// The figures, of a call with `--json -`.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The program with `flags`, to be called.
pub(crate) fn command(flags: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(flags.split_whitespace()).stdin(Stdio::null());
    command
}

/// Calls the program with `flags`, and the two secrets in the environment.
pub(crate) fn loadgen(flags: &str, keys: Option<[&str; 2]>) -> Run {
    let mut command = command(flags);
    for (index, name) in ["SEALWIRE_CONFKEY", "SEALWIRE_AUTHKEY"].iter().enumerate() {
        match keys {
            Some(keys) => command.env(name, keys[index]),
            None => command.env_remove(name),
        };
    }
    call(command)
}

pub(crate) fn call(mut command: Command) -> Run {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// A server of our own with [`KEYS`], until this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) port: u16,
}

impl Server {
    /// One that serves as `flags` say: transport, mode, bytes of messages.
    pub(crate) fn start(flags: &str) -> Self {
        let [confkey, authkey] = KEYS;
        let mut child = command(&format!("serve {flags}"))
            .env("SEALWIRE_CONFKEY", confkey)
            .env("SEALWIRE_AUTHKEY", authkey)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let port = line.trim_end().parse().unwrap();
        Self { child, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
