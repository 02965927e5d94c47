//! Faults of the network, between real processes over the system's own TCP: packets that
//! are late, lost and out of order, and a cut. `network.py` is the network. Skipped, with a
//! word, where it cannot be made.

use std::thread::sleep;
use std::time::Duration;

use crate::program::{Launch, Program};
use crate::transfer::LARGE;

/// The address on which a server listens, and that at which its clients find it.
const NEAR: &str = "10.9.0.1";
const FAR: &str = "10.9.0.2";

/// A network that runs.
struct Network {
    program: Program,
    /// What it has printed.
    said: String,
}

/// How bad a network is.
struct Quality {
    delay_ms: u32,
    loss: f32,
    reorder: f32,
}

const GOOD: Quality = Quality {
    delay_ms: 1,
    loss: 0.0,
    reorder: 0.0,
};

impl Network {
    /// A network with chances of this seed; `None`, and a notice, if it cannot be made here.
    fn new(seed: u32, quality: Quality) -> Option<Self> {
        eprintln!("seed of the network: {seed}");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cli/network.py");
        let Quality {
            delay_ms,
            loss,
            reorder,
        } = quality;
        let command =
            format!("exec unshare -rn python3 '{script}' {seed} {delay_ms} {loss} {reorder}");
        let program = Launch::program("sh").arg("-c").arg(command).start();
        let mut network = Self {
            program,
            said: String::new(),
        };
        if network.program.prints_or_ends("ready\n") {
            network.said.push_str("ready\n");
            return Some(network);
        }
        let why = network.program.wait();
        eprintln!(
            "skipped: no network can be made here (unshare -rn, python3, /dev/net/tun): {why}"
        );
        None
    }

    /// A program in this network.
    fn inside(&self, args: &str) -> Launch {
        let network = self.program.id().as_raw_nonzero();
        let script =
            format!(r#"exec nsenter --target {network} --user --net --preserve-credentials "$@""#);
        Launch::by_shell(&script, args)
    }

    fn server(&self, args: &str) -> Launch {
        self.inside(&format!("--server --listen {NEAR} --port 0 {args}"))
    }

    fn client(&self, port: u16, args: &str) -> Launch {
        self.inside(&format!("--client {FAR} --port {port} {args}"))
    }

    /// Tells it `word`, and waits until it has obeyed.
    fn tell(&mut self, word: &str) {
        let line = format!("{word}\n");
        self.program.say(&line);
        self.said.push_str(&line);
        self.program.prints(&self.said);
    }
}

/// Goal: files cross a network that delays, loses and reorders, both ways at once, and both
/// sides leave with 0. Method: 2 MB each way, at three seeds.
#[test]
fn a_bad_network_changes_nothing() {
    for seed in 1..=3 {
        let quality = Quality {
            delay_ms: 5,
            loss: 0.03,
            reorder: 0.2,
        };
        let Some(network) = Network::new(seed, quality) else {
            return;
        };
        let (a, b) = LARGE[..4_000_000].split_at(2_000_000);
        let mut server = network.server("").start();
        let mut client = network.client(server.port(), "").start();
        server.pour(a);
        client.pour(b);
        client.ends_with(0).printed(a);
        server.ends_with(0).printed(b);
        // The network was as bad as it should be.
        let said = network.program.finish("").stdout;
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(
            said.contains("lost ") && said.contains("overtaken "),
            "{said}"
        );
        assert!(
            !said.contains("lost 0,") && !said.contains("overtaken 0\n"),
            "{said}"
        );
        eprintln!("{said}");
    }
}

/// Goal: a peer that is cut off the network is noticed after `--dead-after`: both sides leave
/// with 5. Method: a cut for good, of two that say nothing, and in the middle of a file.
#[test]
fn a_long_cut_ends_both_sides() {
    for idle in [true, false] {
        let Some(mut network) = Network::new(1, GOOD) else {
            return;
        };
        let silence = "--ping-after 1s --dead-after 4s";
        let mut server = network.server(silence).start();
        let client = network.client(server.port(), silence).empty_input();
        let client = client.start();
        if idle {
            server.say("a part");
            client.prints("a part");
        } else {
            server.pour(&LARGE[..]);
            client.prints_some(100_000);
        }
        network.tell("cut");
        let told = "not a byte within 4 s";
        client.ends_with(5).told(told);
        server.ends_with(5).told(told);
    }
}

/// Goal: a cut that is shorter than `--dead-after` loses nothing, though it is longer than
/// `--ping-after`. Method: a cut of 3 s in the middle of files both ways.
#[test]
fn a_short_cut_is_survived() {
    let Some(mut network) = Network::new(1, GOOD) else {
        return;
    };
    let silence = "--ping-after 1s --dead-after 30s";
    let (a, b) = LARGE[..60_000_000].split_at(30_000_000);
    let mut server = network.server(silence).start();
    let mut client = network.client(server.port(), silence).start();
    server.pour(a);
    client.pour(b);
    client.prints_some(100_000);
    network.tell("cut");
    sleep(Duration::from_secs(3));
    assert!(client.is_running() && server.is_running());
    network.tell("mend");
    client.ends_with(0).printed(a);
    server.ends_with(0).printed(b);
}
