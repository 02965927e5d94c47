//! Tells the program which commit it is built from (`LOADGEN_COMMIT`) and how
//! (`LOADGEN_PROFILE`): a figure is worth little without its program.

use std::env;
use std::path::Path;
use std::process::Command;

/// The sources of the program, seen from this package: a change in them makes the tree
/// dirty.
const SOURCES: &[&str] = &[
    "Cargo.toml",
    "build.rs",
    "src",
    "../Cargo.toml",
    "../Cargo.lock",
    "../src",
];

fn main() {
    SOURCES.iter().for_each(|path| watch(path));
    let commit = commit().unwrap_or_else(|| "unknown".into());
    println!("cargo::rustc-env=LOADGEN_COMMIT={commit}");
    // An unoptimised build is no measure of an optimised one, whatever its profile is called.
    let profile = match env::var("OPT_LEVEL").as_deref() {
        Ok("0" | "1") | Err(_) => "debug".into(),
        Ok(_) => env::var("PROFILE").unwrap_or_else(|_| "unknown".into()),
    };
    println!("cargo::rustc-env=LOADGEN_PROFILE={profile}");
}

/// The commit that is checked out, with `-dirty` behind it if the sources differ from it.
/// `None` without git, and in an archive of the sources, even inside another project's tree.
fn commit() -> Option<String> {
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    // A commit, or another branch, changes one of these; git knows where they are in a
    // worktree.
    let branch = git(&["symbolic-ref", "-q", "HEAD"]);
    let names = ["HEAD", "logs/HEAD", "packed-refs"].into_iter();
    for name in names.chain(branch.as_deref()) {
        if let Some(path) = git(&["rev-parse", "--git-path", name]) {
            watch(&path);
        }
    }
    // Without locks: git must not touch files that are watched here.
    let status = ["--no-optional-locks", "status", "--porcelain", "--"];
    let changed = git(&[&status, SOURCES].concat())?;
    let dirty = if changed.is_empty() { "" } else { "-dirty" };
    Some(format!("{commit}{dirty}"))
}

/// Runs this script again when `path` changes. A missing path would run it every time.
fn watch(path: &str) {
    if Path::new(path).exists() {
        println!("cargo::rerun-if-changed={path}");
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim_end().into())
}
