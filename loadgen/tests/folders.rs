//! The folders of the source use each other in one direction, as `src/main.rs` says.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

/// Each folder, and those that it may use.
const FOLDERS: [(&str, &[&str]); 5] = [
    ("measure", &[]),
    ("load", &["measure"]),
    ("rivals", &["measure", "load"]),
    ("judge", &["measure"]),
    ("report", &["measure", "judge"]),
];
/// What serves all folders; `testing` is for tests alone.
const SHARED: [&str; 4] = ["plan", "limits", "values", "testing"];

/// Calls `found` with each line of code in `folder` and below.
fn each_line(folder: &Path, found: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_line(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let lines = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        lines.for_each(|line| found(&path, line));
    }
}

/// Goal: no folder uses one that it may not, so there is no circle. Method: every `crate::` in
/// the code of each folder.
#[test]
fn one_direction() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (folder, uses) in FOLDERS {
        let mut count = 0;
        each_line(&source.join(folder), &mut |path, line| {
            for (at, _) in line.match_indices("crate::") {
                let rest = &line[at + "crate::".len()..];
                let name = rest
                    .split(|c: char| !c.is_ascii_lowercase())
                    .next()
                    .unwrap();
                let allowed = name == folder || uses.contains(&name) || SHARED.contains(&name);
                assert!(allowed, "{}: {line}", path.display());
                count += 1;
            }
        });
        assert!(count > 0, "{folder} has no code");
    }
}
