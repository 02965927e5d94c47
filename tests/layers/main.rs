//! Holds the layers of `docs/ARCHITECTURE.md` apart: none reaches up, none below `net`
//! names the operating system, and unsafe code stays in the kernels.
//!
//! The program stands above all layers and may use any of them, so only the rule on
//! unsafe code applies to it. The same holds for the two roots, which name the modules.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Spacing, TokenStream, TokenTree};

/// The library's modules, lowest row first. A module may use the rows below its own; in
/// the lowest row, which serves all, the modules may use each other too.
const LAYERS: [&[&str]; 7] = [
    &["error", "limits", "span", "text", "time"],
    &["wire", "crypto"],
    &["conn"],
    &["classic"],
    &["endpoint"],
    &["modes"],
    &["net"],
];

/// The program, which is no layer.
const PROGRAM: &str = "cli";

/// The lowest layer that may name what is in [`SYSTEM`].
const NET: &str = "net";

/// Sockets, files, clocks and randomness of the operating system.
const SYSTEM: &str = "std::net core::net std::fs rand::rng mio rustix socket2 getrandom Instant \
                      SystemTime SysRng ThreadRng";

/// The only folder for unsafe code.
const KERNELS: [&str; 2] = ["crypto", "kernel"];

/// `main.rs` alone may say this of the function that runs before `main`: it is a promise
/// about when that function runs, and no unsafe block.
const BEFORE_MAIN: &str = "#[ctor(unsafe)]";

fn row(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&layer))
}

/// The modules that a file below `src` is: `conn/send.rs` is `conn::send`. The two
/// roots, `lib.rs` and `main.rs`, are none.
fn modules_of(file: &Path) -> Vec<String> {
    let names = file.with_extension("");
    let names = names.iter().map(|name| name.to_str().unwrap().to_owned());
    names
        .filter(|name| !["mod", "lib", "main"].contains(&&name[..]))
        .collect()
}

/// A path of the source, and the modules that it stands in.
struct Named {
    home: Vec<String>,
    segments: Vec<String>,
}

/// Adds all paths in `tokens` to `found`, those inside macros too. The groups of a `use`
/// are taken apart; `prefix` is what stands before the group. `as` counts as a segment,
/// because a renamed root is a way up.
fn collect(tokens: TokenStream, home: &[String], prefix: &[String], found: &mut Vec<Named>) {
    let mut path = prefix.to_vec();
    let mut joined = !prefix.is_empty();
    for token in tokens {
        let (word, goes_on) = match &token {
            TokenTree::Ident(word) => (word.to_string(), joined || word == "as"),
            TokenTree::Punct(sign) if sign.as_char() == ':' => {
                joined |= sign.spacing() == Spacing::Joint;
                continue;
            }
            TokenTree::Punct(sign) if sign.as_char() == '*' && joined => ("*".into(), true),
            TokenTree::Group(group) => {
                let module = path.strip_prefix(&["mod".to_owned()]).unwrap_or_default();
                let prefix = if joined { &path[..] } else { &[] };
                collect(group.stream(), &[home, module].concat(), prefix, found);
                (String::new(), false)
            }
            _ => (String::new(), false),
        };
        if !goes_on {
            let segments = std::mem::replace(&mut path, prefix.to_vec());
            let home = home.to_vec();
            found.push(Named { home, segments });
        }
        joined = word == "mod" || (word.is_empty() && !prefix.is_empty());
        path.extend(Some(word).filter(|word| !word.is_empty()));
    }
    let (home, segments) = (home.to_vec(), path);
    found.push(Named { home, segments });
}

impl Named {
    /// The path from the library's root; `None` for other crates, for what is below
    /// `home`, and for a root alone, as in `pub(crate)`.
    fn target(&self) -> Option<Vec<&str>> {
        let roots = ["crate", "sealwire", "self", "super"];
        let is_root = |word: &String| roots.contains(&&word[..]);
        let from = self.segments.iter().position(is_root)?;
        if self.segments.len() == from + 1 {
            return None;
        }
        let mut modules: Vec<_> = self.home.iter().map(String::as_str).collect();
        for segment in &self.segments[from..] {
            match &segment[..] {
                "crate" | "sealwire" => modules.clear(),
                "self" => {}
                "super" => drop(modules.pop()),
                module => modules.push(module),
            }
        }
        Some(modules)
    }

    fn is_system(&self) -> bool {
        let path = format!("::{}::", self.segments.join("::"));
        let mut names = SYSTEM.split(' ');
        names.any(|name| path.contains(&format!("::{name}::")))
    }

    /// What is wrong with the path in `layer`.
    fn complaint(&self, layer: &str) -> Option<String> {
        let Some(here) = row(layer) else {
            return Some(format!("{layer} is in no layer; give it a place in LAYERS"));
        };
        if Some(here) < row(NET) && self.is_system() {
            return Some(format!("{layer} sees no operating system: hand it in"));
        }
        let target = self.target()?;
        let other = target.first().copied().unwrap_or_default();
        match row(other) {
            None => Some("the root may re-export anything; name the layer".into()),
            Some(there) if there < here || other == layer || (here, there) == (0, 0) => None,
            Some(_) => Some(format!("{layer} may not use {other}")),
        }
    }
}

/// What is wrong with `source`, the text of `file` below `src`.
fn check(file: &Path, source: &str) -> Vec<String> {
    let source = match file == Path::new("cli/main.rs") {
        true => source.replacen(BEFORE_MAIN, "", 1),
        false => source.into(),
    };
    let modules = modules_of(file);
    let mut found = Vec::new();
    collect(source.parse().unwrap(), &modules, &[], &mut found);
    let wrong = found.iter().filter_map(|path| {
        let why = match modules.first() {
            _ if path.segments == ["unsafe"]
                && !modules.starts_with(&KERNELS.map(str::to_owned)) =>
            {
                "unsafe code belongs in src/crypto/kernel".into()
            }
            Some(layer) if layer != PROGRAM => path.complaint(layer)?,
            _ => return None,
        };
        let path = path.segments.join("::");
        Some(format!("src/{}: `{path}`: {why}", file.display()))
    });
    wrong.collect()
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
    for known in [
        "lib.rs",
        "cli/main.rs",
        "wire/mod.rs",
        "crypto/kernel/mod.rs",
    ] {
        assert!(files.contains(&src.join(known)), "{known} was not scanned");
    }
    let wrong = files.iter().flat_map(|path| {
        let text = fs::read_to_string(path).unwrap();
        check(path.strip_prefix(&src).unwrap(), &text)
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Goal: each way to reach up, or out, is found, and what keeps the rules is left alone,
/// wherever the forbidden words stand otherwise. Method: samples, one a line behind the name
/// of its file, inside code that breaks no rule.
#[test]
fn what_breaks_a_rule_is_found() {
    let wrong = "
        conn/send.rs use crate::net::stream;
        conn/send.rs pub(crate) use crate::modes;
        wire/hello.rs use crate::{limits::TAG, conn::{self, send::{Queue, take}}};
        wire/hello.rs fn f(x: Vec<crate::crypto::dh::Private>) {}
        crypto/dh.rs const N: usize = 1 + crate::wire::record::body_len(2);
        crypto/dh.rs use ::sealwire::endpoint::Endpoint;
        endpoint/mod.rs fn f() { super::modes::echo::new() }
        endpoint/tick.rs use super::super::net;
        endpoint/tick.rs use super::{super::net, PeerId};
        endpoint/tick.rs mod tests { use super::super::super::net::x; }
        endpoint/tick.rs use self::super::super::net as below;
        conn/mod.rs mod a { mod b {} } use super::net::x;
        limits.rs use crate::wire::record;
        modes/echo.rs macro_rules! m { () => { $crate::net::run() } }
        net/mod.rs use crate::cli::Config;
        net/mod.rs use crate::Endpoint;
        net/mod.rs use crate::*;
        conn/mod.rs use super as root;
        conn/mod.rs use crate::{self as root};
        unheard_of.rs fn f() {}
        conn/mod.rs use std::{fmt, net::IpAddr};
        conn/mod.rs fn now() -> std::time::Instant;
        conn/mod.rs use std::time; fn f() { time::SystemTime::now() }
        endpoint/mod.rs fn f() { mio::Token(1) }
        modes/tunnel.rs fn f() { std::fs::read(name); }
        crypto/dh.rs fn f() { rand::rng().fill(&mut key) }
        crypto/dh.rs use rand::rngs::SysRng;
        wire/hello.rs fn f() { unsafe { std::mem::zeroed() } }
        cli/main.rs unsafe extern { }
        cli/main.rs #[ctor(unsafe)] fn f() { unsafe { g() } }
        net/mod.rs #[ctor(unsafe)] fn f() {}";
    let right = r#"
        net/mod.rs use crate::{conn, endpoint::{self, *}}; use mio::Poll;
        net/mod.rs fn f() { std::time::Instant::now(); rand::rng(); }
        cli/mod.rs use sealwire::net; use crate::run;
        cli/main.rs use sealwire::{Error, net}; fn main() { crate::f() }
        cli/main.rs #[ctor(unsafe)] fn before_main() {}
        lib.rs pub use net::run; pub use crate::cli::Config;
        time.rs use crate::limits::TAG; use std::time::Duration;
        wire/hello.rs use crate::span::Span; use super::record::Kind;
        wire/mod.rs pub(crate) mod a { pub(super) fn f(self) {} }
        conn/mod.rs mod net { pub fn f() {} } fn g() { self::net::f() }
        conn/send.rs /** [`crate::net`] */ /* /* unsafe */ */ fn f<'a>(x: &'a str) {}
        conn/send.rs const A: &str = r"\"; const B: [char; 2] = ['"', '\'']; // crate::net
        conn/send.rs const A: &str = "\"crate::net unsafe";
        conn/send.rs #![deny(unsafe_code)]
        crypto/kernel/aesni.rs fn f() { unsafe { _mm_aesenc_si128(a, b) } }"#;
    for (samples, is_wrong) in [(wrong, true), (right, false)] {
        let lines = samples.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty()) {
            let (file, sample) = line.split_once(' ').unwrap();
            let source =
                format!("fn a() {{ b::<u8>('{{') }}\n{sample}\nmod tests {{ use super::*; }}");
            let found = check(Path::new(file), &source);
            assert_eq!(!found.is_empty(), is_wrong, "{line}: {found:#?}");
        }
    }
}
