//! Holds the layers of `docs/ARCHITECTURE.md` apart: none reaches up, none below `net`
//! names the operating system, and unsafe code stays in the kernels.
//!
//! The rules are checked against the source as it is, tests included, and
//! against small samples that break them. How paths are found in the source is
//! [`source`].
#![allow(clippy::unwrap_used)]

mod source;

use std::fs;
use std::path::{Path, PathBuf};

/// The library's modules and the height of each. One may use what is lower.
const LAYERS: [(&str, u8); 13] = [
    ("error", 0),
    ("text", 0),
    ("limits", 0),
    ("time", 0),
    ("span", 0),
    ("wire", 1),
    ("crypto", 1),
    ("conn", 2),
    ("classic", 3),
    ("endpoint", 4),
    ("modes", 5),
    ("net", NET),
    ("cli", TOP),
];
/// From here up there are sockets, a clock and randomness.
const NET: u8 = 6;
/// Uses all of the library, by its re-exports too.
const TOP: u8 = 7;

/// What no layer below `net` names: the starts of paths, and words anywhere in
/// one, for types that may be reached by many paths.
const SYSTEM_PATHS: [&[&str]; 8] = [
    &["std", "net"],
    &["core", "net"],
    &["std", "fs"],
    &["mio"],
    &["rustix"],
    &["socket2"],
    &["rand", "rng"],
    &["getrandom"],
];
const SYSTEM_WORDS: [&str; 4] = ["Instant", "SystemTime", "SysRng", "ThreadRng"];

/// The only folder for unsafe code.
const KERNELS: [&str; 2] = ["crypto", "kernel"];

/// What `main.rs` alone may say, of the function that runs before `main`: the mark is a
/// promise about when it runs, and its body is checked as any other.
const BEFORE_MAIN: &str = "#[ctor(unsafe)]";

fn height(layer: &str) -> Option<u8> {
    LAYERS
        .iter()
        .find_map(|&(name, height)| (name == layer).then_some(height))
}

/// Whether `layer` may use `other`: itself, what is lower, and among those that
/// serve all, and at the top, each other. `wire` and `crypto` are siblings and
/// may not.
fn may_use(layer: &str, other: &str) -> bool {
    let (Some(here), Some(there)) = (height(layer), height(other)) else {
        return false;
    };
    layer == other || there < here || (here == there && (here == 0 || here == TOP))
}

/// The modules that a file below `src` is: `conn/send.rs` is `conn::send`. The
/// two roots, `lib.rs` and `main.rs`, are none.
fn modules_of(file: &Path) -> Vec<&str> {
    let names = file.iter().map(|name| name.to_str().unwrap());
    let mut names: Vec<_> = names.map(|name| name.trim_end_matches(".rs")).collect();
    if names.last() == Some(&"mod") || matches!(names[..], ["lib" | "main"]) {
        names.pop();
    }
    names
}

/// The path from the library's root that `segments` mean in module `home`;
/// `None` for other crates, and for what is below `home`.
fn resolve<'a>(home: &[&'a str], segments: &[&'a str]) -> Option<Vec<&'a str>> {
    let mut from = match segments[0] {
        "crate" | "sealwire" => Vec::new(),
        "self" | "super" => home.to_vec(),
        _ => return None,
    };
    let rest = segments.iter().enumerate().skip_while(|&(i, &segment)| {
        if segment == "super" {
            from.pop();
        }
        i == 0 || segment == "super" || segment == "self"
    });
    let rest: Vec<&str> = rest.map(|(_, &segment)| segment).collect();
    from.extend(rest);
    Some(from)
}

/// What is wrong with `source`, the text of `file` below `src`.
fn check(file: &Path, source: &str) -> Vec<String> {
    let modules = modules_of(file);
    let source = match file == Path::new("main.rs") {
        true => source.replacen(BEFORE_MAIN, "", 1),
        false => source.into(),
    };
    let paths = source::paths(&source);
    let wrong = paths.iter().filter_map(|path| {
        let why = complaint(&modules, path)?;
        let (file, line) = (file.display(), path.line);
        let path = path.segments.join("::");
        Some(format!("src/{file}:{line}: `{path}`: {why}"))
    });
    wrong.collect()
}

fn complaint(modules: &[&str], path: &source::Path<'_>) -> Option<String> {
    let segments = &path.segments[..];
    if segments == ["unsafe"] && !modules.starts_with(&KERNELS) {
        return Some("unsafe code belongs in src/crypto/kernel".into());
    }
    // The roots only hold the layers together.
    let (&layer, _) = modules.split_first()?;
    let Some(height) = height(layer) else {
        return Some(format!("{layer} is in no layer; give it a place in LAYERS"));
    };
    if height < NET && is_system(segments) {
        return Some(format!("{layer} sees no operating system: hand it in"));
    }
    let home = [modules, &path.inside].concat();
    let target = resolve(&home, segments)?;
    // `pub(crate)`, `pub(super)` and the value `self`.
    if segments.len() == 1 && !path.renamed {
        return None;
    }
    match target.first() {
        Some(other) if may_use(layer, other) => None,
        _ if height == TOP => None,
        Some(other) if self::height(other).is_some() => {
            Some(format!("{layer} may not use {other}"))
        }
        _ => Some("the root may re-export anything; name the layer".into()),
    }
}

fn is_system(segments: &[&str]) -> bool {
    SYSTEM_PATHS.iter().any(|path| segments.starts_with(path))
        || segments.iter().any(|word| SYSTEM_WORDS.contains(word))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let files = paths.flat_map(|path| match path.is_dir() {
        true => rust_files(&path),
        false => vec![path],
    });
    files
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .collect()
}

/// Goal: the source keeps the rules. Method: check every file below `src`.
#[test]
fn the_source_keeps_its_layers() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&src);
    for root in ["lib.rs", "main.rs", "wire/mod.rs", "crypto/kernel/mod.rs"] {
        assert!(files.contains(&src.join(root)), "{root} was not scanned");
    }
    let wrong = files.iter().flat_map(|path| {
        let text = fs::read_to_string(path).unwrap();
        check(path.strip_prefix(&src).unwrap(), &text)
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Goal: each way to reach up, or out, is found. Method: one planted in a
/// sample each time; exactly that one line is complained about.
#[test]
fn what_reaches_up_is_found() {
    let planted = [
        ("conn/send.rs", "use crate::net::stream;"),
        ("conn/send.rs", "pub(crate) use crate::modes;"),
        (
            "wire/hello.rs",
            "use crate::{limits::TAG, conn::{self, send::{Queue, take}}};",
        ),
        (
            "wire/hello.rs",
            "fn f(x: Vec<crate::crypto::dh::Private>) {}",
        ),
        (
            "crypto/dh.rs",
            "let n = 1 + crate::wire::record::body_len(2);",
        ),
        ("crypto/dh.rs", "use ::sealwire::endpoint::Endpoint;"),
        ("endpoint/mod.rs", "super::modes::echo::new()"),
        ("endpoint/tick.rs", "use super::super::net;"),
        ("endpoint/tick.rs", "use super::{super::net, PeerId};"),
        (
            "endpoint/tick.rs",
            "mod tests { use super::super::super::net::x; }",
        ),
        ("endpoint/tick.rs", "use self::super::super::net as below;"),
        ("conn/mod.rs", "mod a { mod b {} } use super::net::x;"),
        ("limits.rs", "use crate::wire::record;"),
        (
            "modes/echo.rs",
            "macro_rules! m { () => { $crate::net::run() } }",
        ),
        ("net/mod.rs", "use crate::cli::Config;"),
        ("net/mod.rs", "use crate::Endpoint;"),
        ("net/mod.rs", "use crate::*;"),
        ("conn/mod.rs", "use super as root;"),
        ("unheard_of.rs", "fn"),
        ("conn/mod.rs", "use std::{fmt, net::IpAddr};"),
        ("conn/mod.rs", "fn now() -> std::time::Instant;"),
        (
            "conn/mod.rs",
            "use std::time; fn f() { time::SystemTime::now() }",
        ),
        ("endpoint/mod.rs", "mio::Token(1)"),
        ("modes/tunnel.rs", "let x = std::fs::read(name);"),
        ("crypto/dh.rs", "rand::rng().fill(&mut key)"),
        ("crypto/dh.rs", "use rand::rngs::SysRng;"),
        ("wire/hello.rs", "unsafe { std::mem::zeroed() }"),
        ("main.rs", "unsafe extern { }"),
        ("main.rs", "#[ctor(unsafe)] fn f() { unsafe { g() } }"),
        ("net/mod.rs", "#[ctor(unsafe)] fn f() {}"),
    ];
    for (file, line) in planted {
        let around = "fn a() { mod_of::<u8>('{', \"{\") }\n";
        let sample = format!("{around}{line}\nmod tests {{\n    use super::*;\n}}\n");
        let wrong = check(Path::new(file), &sample);
        // The groups name two things of one layer, and a file without a layer
        // is wrong in every word.
        let at_line = |w: &String| w.starts_with(&format!("src/{file}:2: "));
        assert!(wrong.iter().any(at_line), "{file}: {line}: {wrong:#?}");
        assert!(
            file == "unheard_of.rs" || wrong.iter().all(at_line),
            "{file}: {line}: {wrong:#?}"
        );
    }
}

/// Goal: what keeps the rules is left alone, wherever the forbidden words stand
/// otherwise. Method: samples that a careless search would complain about.
#[test]
fn what_keeps_the_rules_is_left_alone() {
    let samples = [
        (
            "net/mod.rs",
            "use crate::{conn, endpoint::{self, *}}; use mio::Poll;",
        ),
        (
            "net/mod.rs",
            "let now = std::time::Instant::now(); rand::rng();",
        ),
        ("cli/mod.rs", "use sealwire::net; use crate::run;"),
        (
            "main.rs",
            "use sealwire::{Error, net}; fn main() { crate::f() }",
        ),
        ("main.rs", "#[ctor(unsafe)] fn before_main() {}"),
        ("lib.rs", "pub use net::run; pub use crate::cli::Config;"),
        (
            "time.rs",
            "use crate::limits::TAG; use std::time::Duration;",
        ),
        (
            "wire/hello.rs",
            "use crate::span::Span; use super::record::Kind;",
        ),
        (
            "wire/mod.rs",
            "pub(crate) mod a { pub(super) fn f(self) {} }",
        ),
        (
            "conn/mod.rs",
            "mod net { pub fn f() {} } fn g() { self::net::f() }",
        ),
        (
            "conn/send.rs",
            "//! [`crate::net`]\n/// [`super::super::net`]\nfn f() {}",
        ),
        (
            "conn/send.rs",
            "/* /* crate::net */ unsafe */ fn f<'a>(x: &'a str) {}",
        ),
        (
            "conn/send.rs",
            "const A: &str = \"\\\"crate::net\"; const B: char = '\"';",
        ),
        (
            "conn/send.rs",
            "const A: &str = r#\"\" crate::net unsafe\"#;",
        ),
        (
            "conn/send.rs",
            "const A: [u8; 2] = [b'\\'', b'\"']; // crate::net",
        ),
        ("conn/send.rs", "#![deny(unsafe_code)]"),
        (
            "crypto/kernel/aesni.rs",
            "unsafe { _mm_aesenc_si128(a, b) }",
        ),
    ];
    for (file, sample) in samples {
        let wrong = check(Path::new(file), sample);
        assert!(wrong.is_empty(), "{sample}: {wrong:#?}");
    }
}
