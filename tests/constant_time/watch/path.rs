//! Follows the program step by step on the processor, under one secret and under another.

use std::env;
use std::hint::black_box;
use std::process::Command;

use sealwire::Kernel;

use super::request::mark;
use super::subject::Secrets;
use super::{WATCHED, has, leaks};

/// The variable that asks for all batches: four times as many steps.
const THOROUGH: &str = "SEALWIRE_THOROUGH";

/// Goal: each kernel that valgrind does not know takes one path through sealing and opening,
/// whatever the secrets are. Method: a script follows this program, as it was compiled, and must
/// find two leaks. A few batches, or all if [`THOROUGH`] is set.
pub(crate) fn is_one() {
    if !has(&["python3", "objdump"]) {
        return;
    }
    let portable = Kernel::PORTABLE.name();
    for kernel in Kernel::all().filter(|kernel| kernel.name() != portable) {
        is_one_with(kernel);
    }
}

fn is_one_with(kernel: Kernel) {
    let mut script = Command::new("python3");
    script.arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/constant_time/watch/path.py"
    ));
    script.arg(env::current_exe().unwrap());
    script.args([WATCHED, "path", kernel.name()]);
    let ended = script.output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr);
    if ended.status.code() == Some(77) {
        eprintln!("constant_time: skipped: {told}");
        return;
    }
    assert!(ended.status.success(), "{told}");
    let ways = String::from_utf8(ended.stdout).unwrap();
    let [records, branch, address] = ways.lines().collect::<Vec<_>>()[..] else {
        panic!("{ways}");
    };
    assert!(records.starts_with("one path of "), "{kernel:?}: {records}");
    assert!(!records.contains(" before 0 "), "no secret: {records}");
    assert!(
        branch.contains(" in constant_time::watch::leaks::by_a_branch"),
        "{branch}"
    );
    assert!(
        address.contains(" in constant_time::watch::leaks::by_an_address"),
        "{address}"
    );
    eprintln!("path: {kernel:?}: {records}");
}

/// What the script follows.
pub(crate) fn watched(kernel: &str, secret: u8) {
    let kernel = Kernel::named(kernel).unwrap();
    let secrets = match env::var_os(THOROUGH) {
        Some(_) => Secrets::new(secret),
        None => Secrets::few(secret),
    };
    let work = || {
        let mut records = secrets.seal(kernel);
        secrets.spoil(&mut records);
        let held = secrets.open(kernel, &mut records);
        (records, held)
    };
    // Work that a process does only once is done here.
    work();
    let (records, held) = marked(work);
    assert!(secrets.are(&records, &held));

    let [secret, _] = &secrets.keys;
    let [first, _] = &Secrets::new(1).keys;
    black_box(marked(|| leaks::by_a_branch(secret, first)));
    black_box(marked(|| leaks::by_an_address(secret, &secrets.text)));
}

fn marked<T>(work: impl FnOnce() -> T) -> T {
    mark();
    let result = work();
    mark();
    result
}
