//! Runs under valgrind's memcheck, which follows every bit that is not initialised, and reports
//! each branch and address that depends on one. The test declares secrets as such bits.

use std::env;
use std::process::Command;

use sealwire::crypto::keys::{hello_holds, hello_tag};
use sealwire::{Identity, Kernel, Secret, SecretPair};

use super::request::{errors, is_secret, is_watched, make_public, make_secret};
use super::subject::Secrets;
use super::{WATCHED, has, leaks};

/// Goal: in `portable`, in the dispatch to it and in the comparison of tags, no branch and no
/// address depends on the keys or the text, except the verdicts. Method: this program again, under
/// memcheck.
pub(crate) fn finds_nothing() {
    if !has(&["valgrind"]) {
        return;
    }
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--error-limit=no"]);
    valgrind.arg(env::current_exe().unwrap());
    valgrind.args([WATCHED, "memcheck"]);
    let ended = valgrind.output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr);
    if told.contains("Fatal error at startup") {
        eprintln!("constant_time: skipped: {told}");
        return;
    }
    assert!(ended.status.success(), "memcheck: {}\n{told}", ended.status);
    let summary = told.lines().rfind(|line| !line.starts_with("=="));
    eprintln!("memcheck: {}", summary.unwrap());
}

/// What runs under memcheck.
pub(crate) fn watched() {
    assert!(is_watched());
    identities();
    records();
    leaks_are_found();
}

/// The result of `work`, and the number of errors that memcheck finds in it.
fn count<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = errors();
    let result = work();
    (result, errors() - before)
}

/// The result of `work`, in which memcheck must find no error.
#[track_caller]
fn clean<T>(work: impl FnOnce() -> T) -> T {
    let (result, errors) = count(work);
    assert_eq!(errors, 0);
    result
}

/// Goal: memcheck finds a leak. Method: a branch and a look-up that depend on a secret.
fn leaks_are_found() {
    let mut secrets = Secrets::new(1);
    make_secret(secrets.keys.as_flattened_mut());
    let [secret, other] = &secrets.keys;
    assert!(count(|| leaks::by_a_branch(secret, other)).1 > 0);
    assert!(count(|| leaks::by_an_address(secret, &secrets.text)).1 > 0);
}

/// Goal: no leak in what is derived from the two secrets before any connection, nor in the check of
/// a client's hello. Method: count errors; the verdict may be one.
fn identities() {
    let [confkey, authkey] = Secrets::new(2).keys.map(|key| {
        let mut key = key.to_vec();
        make_secret(&mut key);
        Secret::new(key)
    });
    let identity = clean(|| Identity::new(&SecretPair { confkey, authkey }).unwrap());
    let mut tag = clean(|| hello_tag(&identity, &[0; 48]));
    assert!(is_secret(&tag));
    make_public(&mut tag);
    let (holds, errors) = count(|| hello_holds(&identity, &[0; 48], &tag));
    assert!(errors <= 1, "more than the verdict");
    let mut holds = [u8::from(holds)];
    make_public(&mut holds);
    assert_eq!(holds, [1]);
}

/// Goal: no leak in the keys of connections and in records. Method: count errors. Sealed bytes are
/// public. Whether a tag holds is public too, and code branches on it once for each record, which
/// memcheck reports. Any other branch or address adds to that number.
fn records() {
    let kernel = Kernel::PORTABLE;
    let mut secrets = Secrets::new(3);
    make_secret(secrets.keys.as_flattened_mut());
    make_secret(&mut secrets.text);

    let mut records = clean(|| secrets.seal(kernel));
    assert!(is_secret(&records));
    make_public(&mut records);
    secrets.spoil(&mut records);
    let (mut held, errors) = count(|| secrets.open(kernel, &mut records));
    assert_eq!(
        errors,
        secrets.count(),
        "other than a verdict for each record"
    );

    for bytes in [&mut held, &mut records] {
        make_public(bytes);
    }
    make_public(&mut secrets.text);
    assert!(secrets.are(&records, &held));
    eprintln!(
        "{kernel:?}: {} records, where valgrind shows AES-NI: {}, SHA-NI: {}",
        secrets.count(),
        is_x86_feature_detected!("aes"),
        is_x86_feature_detected!("sha"),
    );
}
