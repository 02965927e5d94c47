//! Reads `vectors.json`: bytes are hex, and long payloads are described.

use std::sync::{Arc, LazyLock};

use sealwire::{Identity, Secret, SecretPair};
use serde_json::Value;
use sha2::{Digest, Sha256};

static ANSWERS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("vectors.json")).unwrap());

/// The answers about the native format.
pub(crate) fn native() -> &'static Value {
    &ANSWERS["native"]
}

/// The answers about the classic format.
pub(crate) fn classic() -> &'static Value {
    &ANSWERS["classic"]
}

/// The entries of a list, which is not empty.
pub(crate) fn list(value: &Value) -> &[Value] {
    let list = value.as_array().unwrap();
    assert!(!list.is_empty());
    list
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// The bytes that hex digits stand for.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2));
    let pairs = (0..digits.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// The bytes of a hex string.
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    hex(text(value))
}

/// As [`bytes`], for exactly `N` of them.
pub(crate) fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

/// A payload: hex, or described by its length.
pub(crate) fn payload(value: &Value) -> Vec<u8> {
    match &value["bytes i % 251 for i below"] {
        Value::Null => bytes(value),
        len => (0..number(len)).map(|i| (i % 251) as u8).collect(),
    }
}

/// Asserts that `record` is the expected one: all of it in hex, or its length, hash and
/// ends.
pub(crate) fn assert_record(record: &[u8], expected: &Value) {
    if expected.is_string() {
        return assert_eq!(record, bytes(expected));
    }
    assert_eq!(record.len() as u64, number(&expected["length"]));
    assert_eq!(record[..64], array::<64>(&expected["first 64"]));
    assert_eq!(record[record.len() - 16..], array::<16>(&expected["tag"]));
    assert_eq!(Sha256::digest(record)[..], array::<32>(&expected["sha256"]));
}

/// The identity that the vectors' two keys make.
pub(crate) fn identity() -> Arc<Identity> {
    let [confkey, authkey] = ["confkey", "authkey"].map(|name| bytes(&native()[name]));
    Identity::new(&secrets(confkey, authkey)).unwrap()
}

pub(crate) fn secrets(confkey: Vec<u8>, authkey: Vec<u8>) -> SecretPair {
    SecretPair {
        confkey: Secret::new(confkey),
        authkey: Secret::new(authkey),
    }
}
