//! What a service manager such as systemd hears from the program: that it serves, reads its
//! keys anew, stops, and is alive.
//!
//! Each is a datagram to the socket that `NOTIFY_SOCKET` names (sd_notify(3)). Without one,
//! nothing is said. It does not decide when. Read next: [`mod@crate::run`].

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use sealwire::Time;

use crate::limits::NOTIFY_PATIENCE;

/// The service manager that started the program, if one did.
#[derive(Debug, Default)]
pub struct ServiceManager {
    socket: Option<UnixDatagram>,
    /// How often it wants a sign of life.
    alive_every: Option<Duration>,
    alive_at: Time,
}

impl ServiceManager {
    /// The one that the environment names.
    pub fn from_env() -> Self {
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        let watched = |pid: OsString| pid.to_str() == Some(&process::id().to_string());
        let watched = env::var_os("WATCHDOG_PID").is_none_or(watched);
        let period = env::var("WATCHDOG_USEC").ok().filter(|_| watched);
        let period = period.and_then(|text| text.parse().ok()).unwrap_or(0);
        Self {
            // A program that runs need not stop because nobody hears that it does.
            socket: connected(&name).ok(),
            // Twice in its time, as sd_watchdog_enabled(3) advises.
            alive_every: (period > 1).then(|| Duration::from_micros(period / 2)),
            alive_at: Time::ZERO,
        }
    }

    /// Says that the program serves, or serves again.
    pub fn ready(&self) {
        self.say("READY=1");
    }

    /// Says that the program reads its keys anew; [`ready`](Self::ready) ends that.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// Says that the program stops.
    pub fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// Says that the program is alive, when that is due. Returns when to call this again, if
    /// at all.
    pub fn alive(&mut self, now: Time) -> Option<Time> {
        let every = self.alive_every?;
        if now >= self.alive_at {
            self.say("WATCHDOG=1");
            self.alive_at = now + every;
        }
        Some(self.alive_at)
    }

    fn say(&self, text: &str) {
        let sent = self
            .socket
            .as_ref()
            .map(|socket| socket.send(text.as_bytes()));
        // It may be gone, or slow. Then there is nobody to tell.
        drop(sent);
    }
}

/// A socket that sends to `name`, a path, or a name of its own kind that begins with `@`.
fn connected(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_write_timeout(Some(NOTIFY_PATIENCE))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Goal: reloading says since when, by the clock of the manager, and both kinds of names
    /// work. Method: a socket of each kind. `tests/cli` has the rest, by whole programs.
    #[test]
    fn reloading_says_since_when() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify").into_os_string();
        let own = format!("sealwire-test-{}", process::id());
        for (heard, name) in [
            (UnixDatagram::bind(&path).unwrap(), path),
            (
                UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&own).unwrap()).unwrap(),
                format!("@{own}").into(),
            ),
        ] {
            let manager = ServiceManager {
                socket: Some(connected(&name).unwrap()),
                ..ServiceManager::default()
            };
            manager.reloading();
            manager.ready();
            let mut said = [0; 100];
            let len = heard.recv(&mut said).unwrap();
            let text = str::from_utf8(&said[..len]).unwrap();
            let micros = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
            let seconds = micros.parse::<i64>().unwrap() / 1_000_000;
            let now = clock_gettime(ClockId::Monotonic).tv_sec;
            assert!((now - 60..=now).contains(&seconds), "{text}: {now}");
            let len = heard.recv(&mut said).unwrap();
            assert_eq!(&said[..len], b"READY=1");
        }
    }

    /// Goal: signs of life come at their time, and only then. Method: no socket is needed.
    #[test]
    fn signs_of_life() {
        let every = Duration::from_secs(5);
        let mut manager = ServiceManager::default();
        assert_eq!(manager.alive(Time::ZERO), None);
        manager.alive_every = Some(every);
        let start = Time::ZERO + every;
        assert_eq!(manager.alive(start), Some(start + every));
        let early = start + every / 2;
        assert_eq!(manager.alive(early), Some(start + every));
        assert_eq!(manager.alive(start + every), Some(start + 2 * every));
    }
}
