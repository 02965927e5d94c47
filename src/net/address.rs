//! Addresses as people write them, and why one cannot be used.
//!
//! Both need care: an IPv6 address without its zone is another address, and the system's
//! own `Invalid argument` does not say what to change. It looks up no name. Read next:
//! `lookup`, which does.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use crate::endpoint::transport::Origin;
use crate::text::is_visible;
use rustix::io::Errno;
use rustix::net::netdevice::index_to_name;
use rustix::net::{AddressFamily, SocketType, socket};

/// What to do when all local ports are in use.
const MORE_PORTS: &str =
    "end connections that are not needed, or widen net.ipv4.ip_local_port_range";

/// `host` without the brackets that set an IPv6 address apart from a port.
pub fn without_brackets(host: &str) -> &str {
    let inside = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    inside.unwrap_or(host)
}

/// Whether a name or an address without a port may have this character.
pub(super) fn is_of_name(c: char) -> bool {
    is_visible(c) && !c.is_whitespace() && !":/[]".contains(c)
}

/// The address that `host` is, and the zone behind its `%`, if there is one; `None` for a
/// name.
pub fn parse(host: &str) -> Option<(IpAddr, Option<&str>)> {
    let (address, zone) = match host.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (host, None),
    };
    Some((address.parse().ok()?, zone))
}

/// The address that `host` is; `None` for a name, and for an address with a zone, which
/// the system's resolver knows.
pub(super) fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    match parse(host)? {
        (address, None) => Some((address, port).into()),
        (_, Some(_)) => None,
    }
}

/// `address` without its port; one of IPv6 with its zone, as in `fe80::1%eth0`.
pub fn host(address: SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), zone(v6)),
        _ => address.ip().to_string(),
    }
}

/// Connections that come from here count together: one address, or one network of IPv6, of
/// which a single party has all addresses (RFC 6177).
pub(super) fn origin(address: SocketAddr) -> Origin {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => Origin::new(v4.to_bits().into()),
        IpAddr::V6(v6) => Origin::new((v6.to_bits() >> 64) as u64),
    }
}

/// `address` with its port, as in `[fe80::1%eth0]:9999`.
pub fn host_and_port(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(_) => address.to_string(),
        SocketAddr::V6(_) => format!("[{}]:{}", host(address), address.port()),
    }
}

/// A hint if `address` is link-local and has no zone: each interface may have its own such
/// address.
pub fn missing_zone(address: SocketAddr) -> Option<String> {
    let SocketAddr::V6(v6) = address else {
        return None;
    };
    (v6.ip().is_unicast_link_local() && v6.scope_id() == 0).then(|| {
        let ip = v6.ip();
        format!("{ip} is a link-local address: name the interface, as in {ip}%eth0")
    })
}

/// Why connecting to `address` failed with `error`, and what to do about it.
pub fn why_not_connected(address: SocketAddr, error: &io::Error) -> String {
    if error.kind() == ErrorKind::AddrNotAvailable {
        return format!(
            "{}: this machine has no address to connect from, or all its ports are in use \
             ({MORE_PORTS})",
            host(address)
        );
    }
    let zone = missing_zone(address).filter(|_| is_invalid(error));
    zone.unwrap_or_else(|| format!("{}: {error}", host(address)))
}

/// Why `address` cannot be bound, where its zone or the ports of this machine are at
/// fault.
pub(super) fn why_not_bound(address: SocketAddr, error: &io::Error) -> Option<String> {
    match error.kind() {
        ErrorKind::AddrInUse if address.port() == 0 => Some(format!(
            "all ports of {} are in use: {MORE_PORTS}",
            host(address)
        )),
        _ => missing_zone(address).filter(|_| is_invalid(error)),
    }
}

fn is_invalid(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::INVAL)
}

/// The name of the interface, or its number where it has none.
fn zone(address: SocketAddrV6) -> String {
    let index = address.scope_id();
    // The question needs a socket, of any kind.
    let name = socket(AddressFamily::UNIX, SocketType::DGRAM, None)
        .and_then(|socket| index_to_name(socket, index));
    name.unwrap_or_else(|_| index.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// Goal: an address is shown as a user would type it. Method: each family, with and
    /// without a zone; interface 1 is the loopback, and no interface has the last number.
    #[test]
    fn as_typed() {
        for (text, name) in [
            ("10.1.2.3:9", "10.1.2.3"),
            ("[::1]:9", "::1"),
            ("[fe80::1]:9", "fe80::1"),
            ("[fe80::1%1]:9", "fe80::1%lo"),
            ("[fe80::1%4294967295]:9", "fe80::1%4294967295"),
        ] {
            assert_eq!(host(address(text)), name);
        }
        assert_eq!(host_and_port(address("10.1.2.3:9")), "10.1.2.3:9");
        assert_eq!(host_and_port(address("[fe80::1%1]:9")), "[fe80::1%lo]:9");
    }

    /// Goal: we can tell an address, with its zone, from a name. Method: each family, with
    /// and without a zone and brackets; a name.
    #[test]
    fn typed() {
        for (text, found) in [
            ("10.1.2.3", Some(("10.1.2.3", None))),
            ("[::1]", Some(("::1", None))),
            ("fe80::1%eth0", Some(("fe80::1", Some("eth0")))),
            ("[fe80::1%]", Some(("fe80::1", Some("")))),
            ("localhost", None),
            ("name%eth0", None),
        ] {
            let bare = without_brackets(text);
            let found = found.map(|(ip, zone)| (ip.parse().unwrap(), zone));
            assert_eq!(parse(bare), found, "{text}");
            let literal = literal(bare, 9).map(|address| address.ip());
            let zoneless = found.filter(|(_, zone)| zone.is_none());
            assert_eq!(literal, zoneless.map(|(ip, _)| ip), "{text}");
        }
    }

    /// Goal: a hint tells of a missing zone, and only then. Method: every edge of
    /// fe80::/10, then other errors and other addresses.
    #[test]
    fn a_zone_is_missing() {
        let invalid = io::Error::from(Errno::INVAL);
        let told = "fe80::1 is a link-local address: name the interface, as in fe80::1%eth0";
        let of = |text: &str, error: &io::Error| why_not_connected(address(text), error);
        assert_eq!(of("[fe80::1]:9", &invalid), told);
        let bound = why_not_bound(address("[fe80::1]:9"), &invalid);
        assert_eq!(bound.as_deref(), Some(told));
        for (text, is_missing) in [
            ("[fe7f::1]:9", false),
            ("[fe80::]:9", true),
            ("[febf::1]:9", true),
            ("[fec0::1]:9", false),
            ("[fe80::1%1]:9", false),
            ("169.254.0.1:9", false),
        ] {
            let missing = missing_zone(address(text));
            assert_eq!(missing.is_some(), is_missing, "{text}");
        }
        let refused = io::Error::from(Errno::CONNREFUSED);
        assert!(of("[fe80::1]:9", &refused).starts_with("fe80::1: "));
        assert_eq!(why_not_bound(address("[fe80::1]:9"), &refused), None);
        assert!(of("10.1.2.3:9", &invalid).starts_with("10.1.2.3: "));
    }

    /// Goal: a hint tells of ports that are used up, but not of one port that is taken.
    /// Method: the errors that Linux gives for each: bind(2), connect(2).
    #[test]
    fn no_port_is_left() {
        let (in_use, none) = (Errno::ADDRINUSE.into(), Errno::ADDRNOTAVAIL.into());
        let any = why_not_bound(address("127.0.0.1:0"), &in_use).unwrap();
        assert!(any.starts_with("all ports of 127.0.0.1 are in use: end"));
        assert_eq!(why_not_bound(address("127.0.0.1:9"), &in_use), None);
        let told = why_not_connected(address("127.0.0.1:9"), &none);
        assert!(told.contains("net.ipv4.ip_local_port_range"), "{told}");
    }
}
