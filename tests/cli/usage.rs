//! The help and the version. Command lines that are refused are in the unit tests of the
//! program, and in the files here that know what they ask for.

use crate::program::Launch;
use crate::stopping::dev_full;

/// Goal: the help and the version go to stdout and are no error. Method: print both; the
/// code is 141 if the reader is gone, as of other programs, and 1 if the disk is full.
#[test]
fn help_and_version() {
    for (args, told) in [
        ("--help", "Exit codes: 0 complete"),
        ("--version", "sealwire "),
    ] {
        let ended = Launch::new(args).run();
        assert_eq!((ended.code, &ended.stderr[..]), (0, ""), "{ended}");
        let shown = String::from_utf8_lossy(&ended.stdout);
        assert!(shown.contains(told), "{ended}");
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = Launch::new("--help").stdout(writer).run();
    assert_eq!((ended.code, &ended.stderr[..]), (141, ""), "{ended}");
    let version = Launch::new("--version").stdout(dev_full());
    version.refused(1, "writing standard output: No space left");
}
