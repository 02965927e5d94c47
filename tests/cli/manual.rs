//! What the program gives to other programs of its options: they can read it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::program::Launch;

/// What the program prints with `args`.
#[track_caller]
fn printed(args: &str) -> String {
    let ended = Launch::new(args).no_keys().run();
    assert_eq!((ended.code, &ended.stderr[..]), (0, ""), "{ended}");
    String::from_utf8(ended.stdout).unwrap()
}

/// What `program` says of `file`, which it must accept; `None`, with a notice, where there is
/// none.
#[track_caller]
fn accepted(program: &str, args: &[&str], file: &Path) -> Option<String> {
    let mut command = Command::new(program);
    command.args(args).arg(file).stdin(Stdio::null());
    let Ok(output) = command.env("MANWIDTH", "100").output() else {
        eprintln!("skipped: there is no {program}");
        return None;
    };
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && told.is_empty(),
        "{program}: {told}"
    );
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Goal: shells accept the scripts, and bash completes options, values and commands by them.
/// Method: each shell that is there reads its script; bash completes some words.
#[test]
fn shells_complete() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    for (shell, args) in [("zsh", ["-n"]), ("fish", ["-n"]), ("bash", ["-n"])] {
        fs::write(&script, printed(&format!("completions {shell}"))).unwrap();
        accepted(shell, &args, &script);
    }
    for (line, wanted) in [
        ("sealwire --max-m", "--max-message --max-memory"),
        ("sealwire --log j", "json"),
        ("sealwire --log-level ", "error warn info debug"),
        ("sealwire key", "keygen"),
        ("sealwire keygen --na", "--name"),
        ("sealwire completions z", "zsh"),
    ] {
        let words: Vec<_> = line.split(' ').collect();
        let (last, before) = (words.len() - 1, words[words.len() - 2]);
        let ask = format!(
            "source \"$0\"; COMP_WORDS=({}) COMP_CWORD={last}; _sealwire sealwire '{}' '{before}'; \
             echo \"${{COMPREPLY[*]}}\"",
            words
                .iter()
                .map(|word| format!("'{word}' "))
                .collect::<String>(),
            words[last],
        );
        if let Some(told) = accepted("bash", &["-c", &ask], &script) {
            let words = |text: &str| {
                let mut words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
                words.sort();
                words
            };
            assert_eq!(words(&told), words(wanted), "{line}");
        }
    }
}

/// Goal: the man pages have every option of the help, keep the lines of the examples, and a
/// reader of man pages finds nothing wrong. Method: the pages of the program and of each
/// command, through `man` or `mandoc`.
#[test]
fn man_pages_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sealwire.1");
    let help = printed("--help");
    let options: Vec<_> = help
        .split_whitespace()
        .filter(|word| word.starts_with("--") && word.len() > 2)
        .map(|word| word.trim_end_matches(|c: char| !c.is_ascii_lowercase()))
        .collect();
    assert!(
        options.len() > 20 && options.contains(&"--metrics"),
        "{options:?}"
    );
    for (args, wanted) in [
        ("man", "sealwire -s --keys keys </dev/null | tar x"),
        ("man keygen", "--name"),
        ("man completions", "SHELL"),
        ("man man", "COMMAND"),
    ] {
        fs::write(&file, printed(args)).unwrap();
        accepted("mandoc", &["-T", "lint", "-W", "error"], &file);
        let Some(page) = accepted("man", &["--warnings", "-l"], &file) else {
            continue;
        };
        let spaced = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(spaced(&page).contains(wanted), "{args}: {page}");
        if args == "man" {
            for option in &options {
                assert!(page.contains(option), "{option} in {page}");
            }
        }
    }
}
