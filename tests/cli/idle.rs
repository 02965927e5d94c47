//! Programs that wait use no processor, whatever they wait for.

use std::fs::{self, File};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::program::{Launch, Program};
use crate::raw_peer::connect;

/// Ticks that a program may use in a second of waiting, which has a hundred.
const FEW: u64 = 20;

/// Processor time used so far, in ticks: utime and stime of proc(5).
fn used(program: &Program) -> u64 {
    let path = format!("/proc/{}/stat", program.id().as_raw_pid());
    let stat = fs::read_to_string(path).unwrap();
    let fields = stat.rsplit_once(") ").expect("the name is in brackets").1;
    let times = fields.split(' ').skip(11).take(2);
    times.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// Goal: no wait is a busy loop. Method: bring programs to where each waits for something
/// else, and look at what they use in a second.
#[test]
fn waiting_costs_nothing() {
    let mut waiting = Vec::new();
    let zeros = || File::open("/dev/zero").unwrap();

    // Input is there, but no peer to send it to; a stranger says nothing.
    let mut server = Launch::server("").start();
    server.say("for a peer");
    let _stranger = connect(server.port());
    waiting.push(("no peer", server));

    // Both have an open pipe and nothing to say.
    let server = Launch::server("").start();
    let client = Launch::client(server.port(), "").start();
    server.line(" came");
    waiting.extend([("silent server", server), ("silent client", client)]);

    // The server's input has ended; the client's has not.
    let server = Launch::receiver("").start();
    let client = Launch::client(server.port(), "").start();
    server.line("input ended");
    waiting.extend([("said all", server), ("was told all", client)]);

    // A full stdout keeps a server from reading its client.
    let (_reader, writer) = std::io::pipe().unwrap();
    let server = Launch::receiver("").stdout(writer).start();
    let client = Launch::client(server.port(), "").stdin(zeros()).start();
    server.line("input ended");
    waiting.extend([("blocked output", server), ("blocked peer", client)]);

    // A peer that is stopped takes nothing.
    let server = Launch::server("").stdin(zeros()).start();
    let client = Launch::client(server.port(), "").empty_input().start();
    client.line("connected to");
    client.signal(Signal::STOP);
    waiting.push(("stopped peer", server));

    // Until sockets and queues are full, there is work.
    let measure = || waiting.iter().map(|(_, program)| used(program));
    let mut before: Vec<_> = measure().collect();
    let mut busy = Vec::new();
    for _ in 0..30 {
        thread::sleep(Duration::from_secs(1));
        let now: Vec<_> = measure().collect();
        let all = waiting.iter().zip(before.iter().zip(&now));
        let works = all.filter(|(_, (before, now))| *now - *before >= FEW);
        busy = works.map(|((name, _), _)| *name).collect();
        if busy.is_empty() {
            return;
        }
        before = now;
    }
    panic!("these never rest: {busy:?}");
}
