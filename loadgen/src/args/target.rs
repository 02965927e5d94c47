//! The server that is typed: where it is, and its keys.

use std::ffi::OsString;

use sealwire_cli::error::Error;

use super::{Args, Target};
use crate::plan::Over;
use crate::units::{number, usage};

/// The server that runs over `over`, if there is one, and what to tell the user about
/// its keys.
pub(super) fn find(
    typed: &mut Args,
    over: Over,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<(Target, Vec<String>)>, Error> {
    let keys = std::mem::take(&mut typed.keys);
    let named = keys.keys.is_some() || keys.name.is_some();
    let named = named || keys.confkey.is_some() || keys.authkey.is_some();
    let Some(to) = &typed.to else {
        if named {
            return usage("keys go with --to HOST:PORT; a server that is started gets new ones");
        }
        if typed.server_pid.is_some() {
            return usage("--server-pid goes with --to HOST:PORT");
        }
        return Ok(None);
    };
    let Some((host, port)) = host_and_port(to) else {
        return usage("--to: HOST:PORT is wanted, such as example.org:9999 or [::1]:9999");
    };
    let pid = typed.server_pid.as_deref();
    let pid = pid.map(|pid| number("--server-pid", pid)).transpose()?;
    let (identity, warnings) = if over == Over::Sealed {
        let loaded = keys.load(false, env)?;
        (loaded.keys.native, loaded.warnings)
    } else if named {
        return usage("keys go with --over sealed: nothing else has a use for them");
    } else {
        (None, Vec::new())
    };
    let server = Target {
        host: host.into(),
        port,
        identity,
        pid,
        #[cfg(feature = "tls")]
        certificate: None,
    };
    Ok(Some((server, warnings)))
}

/// The two parts of an address; one of IPv6 is in brackets.
fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|&port| port != 0)?;
    let clear = !host.contains(':') || host.starts_with('[') && host.ends_with(']');
    (clear && !host.is_empty()).then_some((host, port))
}
