//! Runs the program.

use std::process::{Command, Stdio};

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
