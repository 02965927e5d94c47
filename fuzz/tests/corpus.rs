//! Gives every target the inputs of its folder in the corpus, and all known answers.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use fuzz::{TARGETS, Target};
use serde_json::Value;

/// Runs a target, and names the input that it panics with.
fn run(target: Target, name: &str, input: &[u8]) {
    let result = catch_unwind(|| (target.run)(input));
    assert!(result.is_ok(), "target {} fails: {name}", target.name);
}

/// Goal: every input that once showed something, from the fuzzer or by hand, still holds.
/// Method: run each target on its folder, which has files, and on an empty input.
#[test]
fn the_corpus_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for target in TARGETS {
        run(target, "the empty input", &[]);
        let folder = fs::read_dir(corpus.join(target.name)).unwrap();
        let mut count = 0;
        for file in folder {
            let path = file.unwrap().path();
            run(
                target,
                &path.display().to_string(),
                &fs::read(&path).unwrap(),
            );
            count += 1;
        }
        assert!(count > 0, "target {} has no inputs", target.name);
    }
}

/// All bytes that are written in hex somewhere in `value`.
fn hex(value: &Value, found: &mut Vec<Vec<u8>>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| hex(value, found)),
        Value::Object(values) => values.values().for_each(|value| hex(value, found)),
        Value::String(text) => {
            let pairs = text.as_bytes().chunks(2);
            let bytes = pairs.map(|two| u8::from_str_radix(str::from_utf8(two).ok()?, 16).ok());
            found.extend(bytes.collect::<Option<Vec<u8>>>());
        }
        _ => {}
    }
}

/// Goal: no target fails on what is right, or nearly, on the wire. Method: all bytes of the
/// known answers, for every target.
#[test]
fn known_answers_hold() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/vectors.json");
    let vectors: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut inputs = Vec::new();
    hex(&vectors, &mut inputs);
    assert!(inputs.len() > 100, "{} inputs", inputs.len());
    for target in TARGETS {
        for input in &inputs {
            run(target, &format!("{input:02x?}"), input);
        }
    }
}
