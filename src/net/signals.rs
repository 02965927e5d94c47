//! The signals that the program acts on, as events of the poll.
//!
//! A signal that was ignored when the program started stays ignored: `nohup`, and a shell
//! that starts a job in the background, ask for that. It only reports signals. Read next:
//! [`super::event_loop`], which acts on them.

use std::fs;
use std::io;

use mio::{Interest, Registry, Token};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook_mio::v1_0::Signals;

/// Catches SIGINT, SIGTERM, SIGHUP and SIGUSR1, which no longer end the process, unless they
/// were ignored. `token` becomes readable when one comes.
pub(super) fn catch(registry: &Registry, token: Token) -> io::Result<Signals> {
    let mut signals = Signals::new(not_ignored(&[SIGINT, SIGTERM, SIGHUP, SIGUSR1]))?;
    registry.register(&mut signals, token, Interest::READABLE)?;
    Ok(signals)
}

/// Those of `signals` that this process does not ignore, by `SigIgn` in proc(5); all of
/// them where that cannot be read.
///
/// Call it before any of them is caught.
pub fn not_ignored(signals: &[i32]) -> Vec<i32> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = ignored(&status);
    let is_ignored = |signal: i32| ignored >> (signal - 1) & 1 == 1;
    let kept = signals.iter().filter(|&&signal| !is_ignored(signal));
    kept.copied().collect()
}

/// A mask with bit n - 1 for signal n.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the mask of ignored signals is read as Linux writes it. Method: a status
    /// where SIGHUP and SIGPIPE are ignored, then an empty one.
    #[test]
    fn what_linux_says() {
        let status = "Name:\tx\nSigBlk:\tffff\nSigIgn:\t0000000000001001\nSigCgt:\tf\n";
        assert_eq!(ignored(status), 1 << (SIGHUP - 1) | 1 << 12);
        assert_eq!(ignored(""), 0);
    }
}
