//! Every way to name an address: IPv4, IPv6, names, one address or all; and addresses that
//! cannot be.

use std::net::TcpListener;

use crate::program::Launch;
use crate::raw_peer::listener;

/// The cases for IPv6, where there is IPv6.
fn if_ipv6<T>(cases: &[T]) -> &[T] {
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!("skipped: this machine has no IPv6");
        return &[];
    }
    cases
}

/// Goal: a client reaches a server on all addresses, and one on a single address, by every
/// spelling of it, and messages show an IPv4 peer as IPv4. Method: a byte for each pair.
#[test]
fn spellings() {
    let ipv4 = [
        ("", "127.0.0.1"),
        ("", "localhost"),
        ("", "[127.0.0.1]"),
        ("--listen 127.0.0.1", "127.0.0.1"),
        ("--listen localhost", "localhost"),
    ];
    let ipv6 = [
        ("", "::1"),
        ("", "[::1]"),
        ("--listen ::1", "::1"),
        ("--listen [::1]", "[::1]"),
    ];
    for (listen, host) in ipv4.iter().chain(if_ipv6(&ipv6)) {
        let server = Launch::new(&format!("-s --port 0 {listen}"));
        let server = server.empty_input().start();
        let port = server.port();
        let client = Launch::new(&format!("-c {host} --port {port}")).start();
        client.finish("x");
        let ended = server.ends_with(0);
        assert_eq!(ended.stdout, b"x", "{listen} {host}");
        let shown = ended.stderr.contains(" 127.0.0.1:");
        assert!(shown || *host != "127.0.0.1", "{ended}");
    }
}

/// Goal: a server on one address is not on another. Method: IPv6 alone, and an IPv4
/// client.
#[test]
fn no_other_address() {
    for listen in if_ipv6(&["-s --port 0 --listen ::1"]) {
        let server = Launch::new(listen).start();
        let client = Launch::client(server.port(), "");
        client.refused(1, "refused the connection: is the server running?");
    }
}

/// Goal: a client and a server refuse, with what to do, a port in use, a server that is not
/// there, an address of another machine, a name that cannot be, and a link-local address
/// without its interface. Method: a port of the test, then the same port when it is free; on
/// loopback, a link-local address with its interface cannot be reached, but is shown whole.
#[test]
fn addresses_that_cannot_be() {
    let (taken, port) = listener();
    let server = Launch::new(&format!("-s --listen 127.0.0.1 --port {port}"));
    let told = format!("port {port} is in use on 127.0.0.1: stop the program that uses it");
    server.refused(1, &told);
    drop(taken);
    let told = format!("127.0.0.1 port {port} refused the connection: is the server running?");
    Launch::client(port, "").refused(1, &told);
    let by_name = Launch::new(&format!("-c localhost --port {port}"));
    by_name.refused(1, "127.0.0.1");

    let no_name = "cannot resolve no..such..name";
    let link_local = "fe80::1 is a link-local address: name the interface, as in fe80::1%eth0";
    let elsewhere = "is no address of this machine: choose one with --listen";
    let ipv4 = [
        (
            "-s --port 0 --listen 192.0.2.1",
            format!("192.0.2.1 {elsewhere}"),
        ),
        ("-s --port 0 --listen no..such..name", no_name.into()),
        ("-c no..such..name --port 1", no_name.into()),
    ];
    let ipv6 = [
        ("-c fe80::1 --port 1", link_local.into()),
        ("-s --port 0 --listen fe80::1", link_local.into()),
        ("-c fe80::1%lo --port 1", "fe80::1%lo: ".into()),
        (
            "-s --port 0 --listen fe80::1%lo",
            format!("fe80::1%lo {elsewhere}"),
        ),
    ];
    for (args, told) in ipv4.iter().chain(if_ipv6(&ipv6)) {
        Launch::new(args).refused(1, told);
    }
}
