//! Under valgrind's memcheck, which follows every bit that is not initialised and
//! complains where a branch or an address depends on one. Secrets are told to be
//! such bits.

use std::env;
use std::process::Command;

use sealwire::crypto::kernel::Kernel;
use sealwire::crypto::keys::Identity;
use sealwire::crypto::secret::{Secret, SecretPair};

use super::request::{errors, is_secret, is_watched, make_public, make_secret};
use super::subject::{RECORDS, Secrets};
use super::{WATCHED, has, leaks};

/// Goal: from the keys and the text on, nothing in `portable`, in the dispatch to
/// it and in the comparison of tags depends on a secret, but for the verdicts.
/// Method: this program again, under memcheck.
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

/// What memcheck watches.
pub(crate) fn watched() {
    assert!(is_watched());
    identities();
    records();
    leaks_are_found();
}

/// What comes of `work`, and how many errors memcheck finds in it.
fn count<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = errors();
    let result = work();
    (result, errors() - before)
}

/// What comes of `work`, in which memcheck finds nothing.
#[track_caller]
fn clean<T>(work: impl FnOnce() -> T) -> T {
    let (result, errors) = count(work);
    assert_eq!(errors, 0);
    result
}

/// Goal: a leak would be found.
fn leaks_are_found() {
    let mut secrets = Secrets::new(1);
    make_secret(secrets.keys.as_flattened_mut());
    let [secret, other] = &secrets.keys;
    assert!(count(|| leaks::by_a_branch(secret, other)).1 > 0);
    assert!(count(|| leaks::by_an_address(secret, &secrets.text)).1 > 0);
}

/// Goal: what is derived from the two secrets before any connection, and the
/// check of a client's hello.
fn identities() {
    let [confkey, authkey] = Secrets::new(2).keys.map(|key| {
        let mut key = key.to_vec();
        make_secret(&mut key);
        Secret::new(key)
    });
    let identity = clean(|| Identity::new(&SecretPair { confkey, authkey }).unwrap());
    let mut tag = clean(|| identity.hello_tag(&[0; 48]));
    assert!(is_secret(&tag));
    make_public(&mut tag);
    let (holds, errors) = count(|| identity.hello_holds(&[0; 48], &tag));
    assert!(errors <= 1, "more than the verdict");
    let mut holds = [u8::from(holds)];
    make_public(&mut holds);
    assert_eq!(holds, [1]);
}

/// Goal: keys of connections, and records. What is sent is public; whether a tag
/// holds is too, and is branched on: once for each record, which memcheck cannot
/// know to be right. Another branch or address would make it more.
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
    assert_eq!(errors, RECORDS, "other than a verdict for each record");

    for bytes in [&mut held, &mut records] {
        make_public(bytes);
    }
    make_public(&mut secrets.text);
    assert!(secrets.are(&records, &held));
    eprintln!(
        "{kernel:?}: {RECORDS} records, where valgrind shows AES-NI: {}, SHA-NI: {}",
        is_x86_feature_detected!("aes"),
        is_x86_feature_detected!("sha"),
    );
}
