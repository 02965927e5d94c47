//! Some records are sealed and opened ([`subject`]), and watched, twice.
//!
//! [`memcheck`] is told which bytes are secret and follows them, in the kernel
//! `portable`, for valgrind knows neither SHA-NI nor AVX-512. [`path`] compares
//! the ways that the processor itself takes under two secrets, in the kernel in
//! use. Both are shown [`leaks`], too, and must find them.

mod leaks;
mod memcheck;
mod path;
mod request;
mod subject;

use std::env;
use std::process::{Command, Stdio};

/// What this program is given when it is the one that is watched.
const WATCHED: &str = "watched-by";

pub(super) fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [WATCHED, "memcheck"] => memcheck::watched(),
        [WATCHED, "path", secret] => path::watched(secret.parse().unwrap()),
        _ if is_asked_for(&arguments) => {
            memcheck::finds_nothing();
            path::is_one();
        }
        _ => eprintln!("constant_time: not asked for"),
    }
}

/// Whether no test is asked for by name, or this is.
fn is_asked_for(arguments: &[&str]) -> bool {
    let mut names = arguments.iter().filter(|name| !name.starts_with('-'));
    names.clone().next().is_none() || names.any(|name| "constant_time".contains(name))
}

/// Says so where one of these programs is missing.
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
