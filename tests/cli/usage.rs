//! The help and the version. Command lines that are refused are in the unit tests of the
//! program, and in the files here that know what they ask for.

use crate::program::Launch;
use crate::stopping::dev_full;

/// Goal: the help goes to stdout and is no error, as the version does ([`crate::kernel`]). The code
/// is 141 if the reader is gone, as of other programs, and 1 if the disk is full. Method: print
/// them.
#[test]
fn help_and_version() {
    let ended = Launch::new("--help").run();
    assert_eq!((ended.code, &ended.stderr[..]), (0, ""), "{ended}");
    let shown = String::from_utf8_lossy(&ended.stdout);
    assert!(shown.contains("Exit codes: 0 complete"), "{ended}");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = Launch::new("--help").stdout(writer).run();
    assert_eq!((ended.code, &ended.stderr[..]), (141, ""), "{ended}");
    let version = Launch::new("--version").stdout(dev_full());
    version.refused(1, "writing standard output: No space left");
}
