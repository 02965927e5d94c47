//! Every way to name an address: IPv4, IPv6, names, one address or all.

use std::net::TcpListener;

use crate::program::Launch;

/// Says so where there is no IPv6.
fn has_ipv6() -> bool {
    let found = TcpListener::bind("[::1]:0").is_ok();
    if !found {
        eprintln!("skipped: this machine has no IPv6");
    }
    found
}

/// Goal: a client reaches a server on all addresses, and one on a single address, by
/// every spelling of it. Method: a byte for each pair.
#[test]
fn spellings() {
    let ipv4 = [
        ("", "127.0.0.1"),
        ("", "localhost"),
        ("--listen 127.0.0.1", "127.0.0.1"),
        ("--listen localhost", "localhost"),
    ];
    let ipv6 = [
        ("", "::1"),
        ("", "[::1]"),
        ("--listen ::1", "::1"),
        ("--listen [::1]", "[::1]"),
    ];
    let count = if has_ipv6() { ipv6.len() } else { 0 };
    for (listen, host) in ipv4.iter().chain(&ipv6[..count]) {
        let server = Launch::new(&format!("-s --port 0 {listen}"));
        let server = server.empty_input().start();
        let port = server.port();
        let client = Launch::new(&format!("-c {host} --port {port}")).start();
        client.finish("x");
        assert_eq!(server.ends_with(0).stdout, b"x", "{listen} {host}");
    }
}

/// Goal: a server on one address is not on another. Method: IPv6 alone, and an IPv4
/// client.
#[test]
fn no_other_address() {
    if has_ipv6() {
        let server = Launch::new("-s --port 0 --listen ::1").start();
        let client = Launch::client(server.port(), "");
        client.refused(1, "refused the connection: is the server running?");
    }
}

/// Goal: messages show an IPv4 peer as IPv4. Method: an IPv4 client of a server on all
/// addresses.
#[test]
fn peers_are_named() {
    let server = Launch::new("-s --port 0 --no-input").start();
    Launch::client(server.port(), "").start().finish("");
    let line = server.line(" came");
    assert!(line.contains(" 127.0.0.1:"), "{line}");
}

/// Goal: a client and a server refuse a link-local address without its interface, and
/// show one with it whole. Method: an address that no interface has, then the same on
/// loopback, where it cannot be reached.
#[test]
fn link_local() {
    if !has_ipv6() {
        return;
    }
    let told = "fe80::1 is a link-local address: name the interface, as in fe80::1%eth0";
    for (args, told) in [
        ("-c fe80::1 --port 1", told),
        ("-s --port 0 --listen fe80::1", told),
        ("-c fe80::1%lo --port 1", "fe80::1%lo: "),
        (
            "-s --port 0 --listen fe80::1%lo",
            "fe80::1%lo is no address of this machine",
        ),
    ] {
        Launch::new(args).refused(1, told);
    }
}
