//! Chat through pipes: lines go both ways, stderr tells of peers that come and go, and
//! ends are seen.

use crate::program::Launch;

/// Goal: the input of either side reaches the other's stdout, and nothing else does. The
/// server tells which peers came and left, the client where it is connected. Method: one
/// message each way, then both inputs end, the client's first.
#[test]
fn lines_go_both_ways() {
    let mut server = Launch::server("").start();
    let mut client = Launch::client(server.port(), "").start();
    client.line("connected to 127.0.0.1:");
    server.line(" came");
    client.say("hello\n");
    server.prints("hello\n");
    server.say("and hello back\n");
    client.prints("and hello back\n");
    client.end_input();
    server.say("still here\n");
    client.prints("and hello back\nstill here\n");
    assert!(client.is_running());
    let server = server.finish("").printed("hello\n");
    let client = client.ends_with(0);
    let client = client.printed("and hello back\nstill here\n");
    let server = server.told(" came").told(" left");
    server.told("input ended: leaving after these peers");
    assert_eq!(client.stderr.lines().count(), 1, "{client}");
}
