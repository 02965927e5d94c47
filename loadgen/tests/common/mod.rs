//! Runs the program.

use std::process::{Command, Output, Stdio};

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

    /// The figures, of a call with `--json -`.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The program with `flags`, to be called; [`KEYS`] are in its environment.
pub(crate) fn command(flags: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
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
