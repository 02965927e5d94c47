//! The program and the machine of a run, which every output names.

use std::env::consts::ARCH;
use std::ffi::CStr;
use std::net::{SocketAddr, UdpSocket};
use std::thread;

use procfs::Current as _;
use rustix::system::uname;
use sealwire::Kernel;
use serde::Serialize;

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Environment {
    /// Of the load tester, and of the library in it.
    pub(crate) version: &'static str,
    /// What it was built from: see the build script.
    pub(crate) commit: &'static str,
    /// How it was built: `release`, or `debug`.
    pub(crate) profile: &'static str,
    /// Its model, or else its architecture.
    pub(crate) processor: String,
    /// How many this process may use at once.
    pub(crate) processors: usize,
    /// The operating system's kernel, and its version.
    pub(crate) system: String,
    /// The fastest kernel of the library that this processor has.
    pub(crate) fastest_kernel: &'static str,
}

impl Environment {
    pub(crate) fn here() -> Self {
        let system = uname();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: env!("LOADGEN_COMMIT"),
            profile: env!("LOADGEN_PROFILE"),
            processor: model().unwrap_or_else(|| ARCH.into()),
            processors: thread::available_parallelism().map_or(1, usize::from),
            system: [system.sysname(), system.release()]
                .map(CStr::to_string_lossy)
                .join(" "),
            fastest_kernel: Kernel::all().last().unwrap_or(Kernel::PORTABLE).name(),
        }
    }
}

/// Whether the server is on this machine: packets to its address leave from the same
/// address. This sends nothing.
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

/// The first processor's model, if the system tells it.
fn model() -> Option<String> {
    let all = procfs::CpuInfo::current().ok()?;
    let model = all.model_name(0)?.trim();
    (!model.is_empty()).then(|| model.into())
}
