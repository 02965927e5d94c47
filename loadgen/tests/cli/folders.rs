//! The folders of the source use each other in one direction, as `src/main.rs` says.

use std::fs;
use std::path::Path;

/// Each folder, and those that it may use.
const FOLDERS: [(&str, &[&str]); 6] = [
    ("measure", &[]),
    ("load", &["measure"]),
    ("cohort", &["measure", "load"]),
    ("rivals", &["load"]),
    ("judge", &["measure", "cohort"]),
    ("report", &["measure", "judge", "cohort"]),
];
/// What serves all folders; `testing` is for tests alone.
const SHARED: [&str; 4] = ["plan", "limits", "values", "testing"];

/// The code of all files in `folder` and below, without comments.
fn lines(folder: &Path) -> Vec<String> {
    let paths = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
    let all: String = texts.collect();
    let code = all
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let below = folders.iter().flat_map(|folder| lines(folder));
    code.map(str::to_owned).chain(below).collect()
}

/// Goal: no folder uses one that it may not, so there is no circle. Method: every `crate::` in
/// the code of each folder.
#[test]
fn one_direction() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (folder, uses) in FOLDERS {
        let lines = lines(&source.join(folder));
        assert!(!lines.is_empty(), "{folder} has no code");
        for line in lines {
            for rest in line.split("crate::").skip(1) {
                let name = rest
                    .split(|c: char| !c.is_ascii_lowercase())
                    .next()
                    .unwrap();
                let allowed = name == folder || uses.contains(&name) || SHARED.contains(&name);
                assert!(allowed, "{folder}: {line}");
            }
        }
    }
}
