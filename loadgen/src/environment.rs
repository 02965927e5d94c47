//! What every output names: on what, and with which program, a run was made.

use std::env::consts::ARCH;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::thread;

use rustix::system::uname;
use sealwire::crypto::kernel::Kernel;

/// The program and this machine.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    /// Of the load tester, and of the library in it.
    pub(crate) version: &'static str,
    /// What it was built from: see the build script.
    pub(crate) commit: &'static str,
    /// How it was built: `release`, or `debug`.
    pub(crate) profile: &'static str,
    /// Its model, or at least its kind.
    pub(crate) processor: String,
    /// How many this process may use at once.
    pub(crate) processors: usize,
    /// The operating system's kernel, and its version.
    pub(crate) system: String,
    /// The fastest kernel of the library that this processor has.
    pub(crate) fastest: Kernel,
}

impl Environment {
    pub(crate) fn here() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let system = uname();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: env!("LOADGEN_COMMIT"),
            profile: env!("LOADGEN_PROFILE"),
            processor: model(&cpuinfo).unwrap_or(ARCH).into(),
            processors: thread::available_parallelism().map_or(1, usize::from),
            system: format!(
                "{} {}",
                system.sysname().to_string_lossy(),
                system.release().to_string_lossy()
            ),
            fastest: Kernel::all().last().unwrap_or(Kernel::PORTABLE),
        }
    }

    /// Whether it was built to be fast.
    pub(crate) fn is_optimised(&self) -> bool {
        self.profile != "debug"
    }
}

/// Whether the server is on this machine: packets to its address leave from that
/// same address. Nothing is sent to find out.
pub(crate) fn shares_machine(server: SocketAddr) -> bool {
    let from = || {
        let any = match server {
            SocketAddr::V4(_) => "0.0.0.0:0",
            SocketAddr::V6(_) => "[::]:0",
        };
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(server).ok()?;
        socket.local_addr().ok()
    };
    server.ip().is_loopback() || from().is_some_and(|from| from.ip() == server.ip())
}

/// The first processor's, as Linux tells it.
fn model(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))?;
    let (_, model) = line.split_once(':')?;
    Some(model.trim()).filter(|model| !model.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Goal: everything is known, or said to be unknown, and fits on a line.
    /// Method: look at this machine.
    #[test]
    fn everything_has_a_name() {
        let here = Environment::here();
        let texts = [here.version, here.commit, here.profile];
        for text in texts.into_iter().chain([&*here.processor, &*here.system]) {
            assert!(!text.is_empty(), "{here:?}");
            assert!(!text.contains('\n'), "{here:?}");
        }
        assert!(here.processors > 0);
        let commit = here.commit.trim_end_matches("-dirty");
        let hash = commit.len() >= 12 && commit.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(hash || commit == "unknown", "{commit}");
    }

    /// Goal: the model is found where it is told, and nothing else is taken for
    /// it. Method: what Linux says on one kind of processor, and on another.
    #[test]
    fn the_model_of_a_processor() {
        let told =
            "processor\t: 0\nmodel\t\t: 1\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: B\n";
        assert_eq!(model(told), Some("Some CPU @ 2 GHz"));
        assert_eq!(model("processor\t: 0\nBogoMIPS\t: 50.00\n"), None);
        assert_eq!(model("model name\t:\n"), None);
        assert_eq!(model(""), None);
    }

    /// Goal: this machine is told from others. Method: loopback, and an address
    /// that is kept free for documents.
    #[test]
    fn whose_machine() {
        assert!(shares_machine("127.0.0.1:1".parse().unwrap()));
        assert!(shares_machine("[::1]:1".parse().unwrap()));
        assert!(!shares_machine("192.0.2.1:1".parse().unwrap()));
    }
}
