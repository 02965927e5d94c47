//! What was typed wrong, or cannot be had from this machine: one clear line, the
//! right exit code, and nothing else.

use std::net::TcpListener;

use crate::program::Launch;

/// Goal: exactly one role is wanted, with options that belong to it. Method:
/// each wrong line, told by its own words.
#[test]
fn roles_and_options() {
    for (args, told) in [
        ("", "give --server or --client HOST"),
        ("--server --client h", "--server and --client"),
        ("--client", "--client <HOST>: the value is missing"),
        ("--client h --echo", "--echo is for a server"),
        ("--server --echo --sink", "--echo and --sink"),
        ("--client h --port 0", "--port: a number from 1 to 65535"),
        ("--server --port 65536", "--port: a number from 0 to 65535"),
        ("--server --frobnicate", "--frobnicate: no such option"),
        ("--client h:9999", "the port goes to --port"),
        (
            "--server --max-message 2g",
            "--max-message: a size from 1 to 1g",
        ),
    ] {
        Launch::new(args).run().refused(2, told);
    }
}

/// Goal: the help and the version go to stdout and are no error. Method: print
/// both; a reader that is gone makes it 141, as of other programs, a full disk 1.
#[test]
fn help_and_version() {
    for (args, told) in [
        ("--help", "Exit codes: 0 complete"),
        ("--version", "sealwire "),
    ] {
        let ended = Launch::new(args).run();
        assert_eq!((ended.code, &ended.stderr[..]), (0, ""), "{ended}");
        assert!(
            String::from_utf8_lossy(&ended.stdout).contains(told),
            "{ended}"
        );
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = Launch::new("--help").stdout(writer).run();
    assert_eq!((ended.code, &ended.stderr[..]), (141, ""), "{ended}");
    let full = std::fs::File::options().write(true).open("/dev/full");
    let ended = Launch::new("--version").stdout(full.unwrap()).run();
    ended.refused(1, "writing standard output: No space left");
}

/// Goal: a port that is in use is told, with what to do.
#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let ended = Launch::new(&format!("-s --listen 127.0.0.1 --port {port}")).run();
    ended.refused(1, &format!("port {port} is in use on 127.0.0.1"));
}

/// Goal: an address of another machine, and a name that cannot be, are told.
#[test]
fn addresses_that_cannot_be() {
    let server = |listen: &str| Launch::new(&format!("-s --port 0 --listen {listen}")).run();
    server("192.0.2.1").refused(1, "192.0.2.1 is no address of this machine");
    server("no..such..name").refused(1, "cannot resolve no..such..name");
    let client = Launch::new("-c no..such..name --port 1").run();
    client.refused(1, "cannot resolve no..such..name");
}

/// Goal: a server that is not there is told. Method: a port that was just free.
#[test]
fn nobody_listens() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let told = format!("127.0.0.1 port {port} refused the connection: is the server running?");
    Launch::client(port, "").run().refused(1, &told);
}
