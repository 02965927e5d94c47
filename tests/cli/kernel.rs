//! Which kernel is used: named by the version, forced by `SEALWIRE_KERNEL`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use sealwire::Kernel;

use crate::program::Launch;

/// The kernel that `word` names as the version's where `SEALWIRE_KERNEL` holds `forced`.
#[track_caller]
fn named(word: &str, forced: Option<&str>) -> String {
    let ended = Launch::new(word).kernel(forced.map(OsStr::new)).run();
    assert_eq!((ended.code, &ended.stderr[..]), (0, ""), "{ended}");
    let version = String::from_utf8(ended.stdout).unwrap();
    let start = concat!("sealwire ", env!("CARGO_PKG_VERSION"), " (kernel ");
    let kernel = version.strip_prefix(start).unwrap().strip_suffix(")\n");
    kernel.unwrap().to_owned()
}

/// Goal: the version names the kernel that would be used: the one that is forced, or the
/// fastest. One that this processor lacks is refused, with what to do. Method: force each, and
/// none. Where the processor has all of them, only the unit tests show a refusal.
#[test]
fn the_version_names_it() {
    let here: Vec<_> = Kernel::all().map(Kernel::name).collect();
    for name in Kernel::NAMES {
        if here.contains(&name) {
            assert_eq!(named("--version", Some(name)), name);
        } else {
            let launch = Launch::new("--version").kernel(Some(OsStr::new(name)));
            launch.refused(2, &format!("SEALWIRE_KERNEL={name}: this processor lacks"));
        }
    }
    let fastest = here[here.len() - 1];
    assert_eq!(named("-V", None), fastest);
    assert_eq!(named("--version", Some("")), fastest);
}

/// Goal: an unknown kernel is refused in one line that does not show what was given. What
/// needs no kernel works. Method: names and bytes that name none.
#[test]
fn an_unknown_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let told = "SEALWIRE_KERNEL: no such kernel; there are portable, aesni, avx512";
    for (n, name) in [&b"deadbeef"[..], b"AVX512", b"aesni\n", b"\xff"]
        .iter()
        .enumerate()
    {
        let forced = |args: &str| Launch::new(args).kernel(Some(OsStr::from_bytes(name)));
        for args in ["--version", "-s --port 0 --echo", "-c 127.0.0.1 --port 1"] {
            let ended = forced(args).refused(2, told);
            assert!(!ended.stderr.contains("deadbeef"), "{ended}");
        }
        let file = folder.path().join(n.to_string());
        for launch in [forced("--help"), forced("keygen").arg(&file)] {
            launch.start().ends_with(0);
        }
    }
}
