//! Watches, in two ways, how some records are sealed and opened ([`subject`]).
//!
//! [`memcheck`] is told which bytes are secret and follows them, in the kernel `portable`, because
//! valgrind knows neither SHA-NI nor AVX-512. [`path`] compares the instructions that the processor
//! executes under two secrets, in every other kernel that it has. Both must also find [`leaks`].

#[path = "../../common/batches.rs"]
mod batches;
mod leaks;
mod memcheck;
mod path;
mod request;
mod subject;

use std::env;
use std::process::{Command, Stdio};

/// The first argument of this program when it is the one that is watched.
const WATCHED: &str = "watched-by";

pub(super) fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [WATCHED, "memcheck"] => memcheck::watched(),
        [WATCHED, "path", kernel, secret] => path::watched(kernel, secret.parse().unwrap()),
        _ if is_asked_for(&arguments) => {
            memcheck::finds_nothing();
            path::is_one();
        }
        _ => eprintln!("constant_time: not asked for"),
    }
}

/// Whether the arguments ask for this test as `cargo test` asks: by no name or by its own, and not
/// with `--skip`.
fn is_asked_for(arguments: &[&str]) -> bool {
    let is_meant = |name: &&str| "constant_time".contains(*name);
    let (mut names, mut skipped) = (Vec::new(), false);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if *argument == "--skip" {
            skipped |= arguments.next().is_some_and(is_meant);
        } else if !argument.starts_with('-') {
            names.push(*argument);
        }
    }
    !skipped && (names.is_empty() || names.iter().any(is_meant))
}

/// Whether these programs are there. Says which one is missing.
fn has(programs: &[&str]) -> bool {
    programs.iter().all(|name| {
        let mut program = Command::new(name);
        let program = program.arg("--version").stdout(Stdio::null());
        let found = program.status().is_ok_and(|status| status.success());
        if !found {
            eprintln!("constant_time: skipped: no {name} on this machine");
        }
        found
    })
}
