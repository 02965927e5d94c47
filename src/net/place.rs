//! Where a plain stream listens or goes: an address with a port, or a path.
//!
//! It opens nothing. Read next: `plain`, which does, and [`super::address`].

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::address::{host_and_port, is_of_name, literal, parse, without_brackets};
use crate::limits::LONGEST_SOCKET_PATH;

/// What stands before a path.
const UNIX: &str = "unix:";

/// A place on the plain side of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A port of a name or an address, without brackets.
    Tcp {
        /// The name or address.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

impl Place {
    /// The place that is written as `HOST:PORT`, or as `unix:PATH`. `PORT` alone is a port of
    /// `host`, where there is one. `None` if it is not written like that.
    pub fn parse(text: &str, host: Option<&str>) -> Option<Self> {
        if let Some(path) = text.strip_prefix(UNIX) {
            let fits = (1..=LONGEST_SOCKET_PATH).contains(&path.len()) && !path.contains('\0');
            return fits.then(|| Self::Unix(path.into()));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port),
            None => (host?, text),
        };
        let bare = without_brackets(host);
        let right = match bare.len() < host.len() {
            true => {
                let plain = |zone: &str| zone.chars().all(is_of_name);
                matches!(parse(bare), Some((IpAddr::V6(_), zone)) if zone.is_none_or(plain))
            }
            false => bare.chars().all(is_of_name),
        };
        let plain = port.bytes().all(|byte| byte.is_ascii_digit());
        if bare.is_empty() || !right || !plain {
            return None;
        }
        Some(Self::Tcp {
            host: bare.to_owned(),
            port: port.parse().ok()?,
        })
    }

    /// The place that a connection may go to: as [`parse`](Self::parse), but no port 0.
    pub fn target(text: &str) -> Option<Self> {
        Self::parse(text, None).filter(|place| !matches!(place, Self::Tcp { port: 0, .. }))
    }

    /// An address with a port.
    pub(super) fn of(address: SocketAddr) -> Self {
        Self::Tcp {
            host: super::address::host(address),
            port: address.port(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => match literal(host, *port) {
                Some(address) => f.write_str(&host_and_port(address)),
                None if host.contains(':') => write!(f, "[{host}]:{port}"),
                None => write!(f, "{host}:{port}"),
            },
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: places are told from what is none, and shown as they are typed. Method: each form,
    /// and near misses.
    #[test]
    fn typed_and_shown() {
        for (text, shown) in [
            ("db:5432", Some("db:5432")),
            ("127.0.0.1:1", Some("127.0.0.1:1")),
            ("[::1]:22", Some("[::1]:22")),
            ("[fe80::1%lo]:22", Some("[fe80::1%lo]:22")),
            ("80", Some("127.0.0.1:80")),
            ("0", Some("127.0.0.1:0")),
            ("unix:/run/x", Some("unix:/run/x")),
            ("unix:", None),
            ("", None),
            (":80", None),
            ("host:", None),
            ("host:x", None),
            ("host:+1", None),
            ("host:65536", None),
            ("::1:22", None),
            ("[host:1]:22", None),
            ("[fe80::1%\u{1b}]:22", None),
            ("http://host:80", None),
        ] {
            let place = Place::parse(text, Some("127.0.0.1"));
            let place = place.map(|place| place.to_string());
            assert_eq!(place.as_deref(), shown, "{text}");
        }
        assert_eq!(Place::parse("80", None), None, "a host is wanted");
    }

    /// Goal: a target is a host with a port or the path of a socket, and nothing else is.
    /// Method: each form; what is missing, too much, or could be read in two ways.
    #[test]
    fn targets() {
        let tcp = |host: &str, port| {
            Some(Place::Tcp {
                host: host.into(),
                port,
            })
        };
        for (text, found) in [
            ("localhost:5432", tcp("localhost", 5432)),
            ("10.1.2.3:65535", tcp("10.1.2.3", 65535)),
            ("[::1]:80", tcp("::1", 80)),
            ("[fe80::1%eth0]:80", tcp("fe80::1%eth0", 80)),
            ("unix:/run/db", Some(Place::Unix("/run/db".into()))),
            ("unix:a:b", Some(Place::Unix("a:b".into()))),
        ] {
            assert_eq!(Place::target(text), found, "{text}");
        }
        let long = format!("unix:/{}", "x".repeat(LONGEST_SOCKET_PATH));
        for text in [
            "",
            ":",
            "host",
            "host:",
            ":80",
            "host:0",
            "host:65536",
            "host:+x",
            "::1:80",
            "[]:80",
            "[host]:80",
            "[10.1.2.3]:80",
            "ho st:80",
            "ho\u{1b}st:80",
            "http://host:80",
            "unix:",
            "unix:a\0b",
            &long,
        ] {
            assert_eq!(Place::target(text), None, "{text:?}");
        }
    }
}
