//! Command lines that are wrong, or ask for what this machine does not have: one clear
//! line, the right exit code, and nothing else.

use std::fs::File;

use crate::program::Launch;
use crate::raw_peer::listener;

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
    let full = File::options().write(true).open("/dev/full");
    let version = Launch::new("--version").stdout(full.unwrap());
    version.refused(1, "writing standard output: No space left");
}

/// Goal: a port in use, a server that is not there, an address of another machine and a
/// name that cannot be are each refused, with what to do. Method: a port of the test, then
/// the same port when it is free.
#[test]
fn addresses_that_cannot_be() {
    let (taken, port) = listener();
    let server = Launch::new(&format!("-s --listen 127.0.0.1 --port {port}"));
    server.refused(1, &format!("port {port} is in use on 127.0.0.1"));
    drop(taken);
    let told = format!("127.0.0.1 port {port} refused the connection: is the server running?");
    Launch::client(port, "").refused(1, &told);

    let no_name = "cannot resolve no..such..name";
    for (args, told) in [
        (
            "-s --port 0 --listen 192.0.2.1",
            "192.0.2.1 is no address of this machine",
        ),
        ("-s --port 0 --listen no..such..name", no_name),
        ("-c no..such..name --port 1", no_name),
    ] {
        Launch::new(args).refused(1, told);
    }
}
