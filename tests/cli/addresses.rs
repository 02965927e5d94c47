//! Every way to say where: IPv4, IPv6, names, one address or all.

use std::net::TcpListener;

use crate::program::Launch;

fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

/// A byte there from a client of `host`, at a server with `listen`.
#[track_caller]
fn talk(listen: &str, host: &str) {
    let server = Launch::new(&format!("-s --port 0 {listen}"));
    let server = server.stdin(std::process::Stdio::null()).start();
    let port = server.port();
    let mut client = Launch::new(&format!("-c {host} --port {port}")).start();
    client.say("x");
    client.end_input();
    client.ends_with(0);
    assert_eq!(server.ends_with(0).stdout, b"x", "{listen} {host}");
}

/// Goal: every spelling of this machine leads to a server on all addresses.
#[test]
fn all_addresses() {
    talk("", "127.0.0.1");
    talk("", "localhost");
    if has_ipv6() {
        talk("", "::1");
        talk("", "[::1]");
    }
}

/// Goal: a server on one address is there, under every spelling of it.
#[test]
fn one_address() {
    talk("--listen 127.0.0.1", "127.0.0.1");
    talk("--listen localhost", "localhost");
    if has_ipv6() {
        talk("--listen ::1", "::1");
        talk("--listen [::1]", "[::1]");
    }
}

/// Goal: a server on one address is not on another. Method: IPv6 alone, and a
/// client of IPv4.
#[test]
fn no_other_address() {
    if !has_ipv6() {
        eprintln!("skipped: this machine has no IPv6");
        return;
    }
    let server = Launch::new("-s --port 0 --listen ::1").start();
    let client = Launch::client(server.port(), "").run();
    client.refused(1, "refused the connection: is the server running?");
}

/// Goal: peers are named as people write them. Method: an IPv4 client of a
/// server on all addresses.
#[test]
fn peers_are_named() {
    let server = Launch::new("-s --port 0 --no-input").start();
    let client = Launch::client(server.port(), "").run();
    assert_eq!(client.code, 0, "{client}");
    let line = server.line(" came");
    assert!(line.contains(" 127.0.0.1:"), "{line}");
}

/// Goal: a link-local address without its interface is told as that, to a client and
/// to a server; with one, it is told whole. Method: one that no interface has, then the
/// same on loopback, where it can be reached by nobody.
#[test]
fn link_local() {
    if !has_ipv6() {
        eprintln!("skipped: this machine has no IPv6");
        return;
    }
    let told = "fe80::1 is a link-local address: name the interface, as in fe80::1%eth0";
    let client = Launch::new("-c fe80::1 --port 1").run();
    client.refused(1, told);
    let server = Launch::new("-s --port 0 --listen fe80::1").run();
    server.refused(1, told);
    let client = Launch::new("-c fe80::1%lo --port 1").run();
    client.refused(1, "fe80::1%lo: ");
    let server = Launch::new("-s --port 0 --listen fe80::1%lo").run();
    server.refused(1, "fe80::1%lo is no address of this machine");
}
