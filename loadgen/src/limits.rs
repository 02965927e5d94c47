//! Every bound of the load tester, each with its reason.

use std::time::Duration;

/// Longest warm-up and longest measurement: nobody waits longer by mistake, and
/// every latency fits the histogram.
pub(crate) const MAX_DURATION: Duration = Duration::from_secs(3600);
/// Chunks in flight over all peers, each of which takes a few dozen bytes of
/// notes on both ends.
pub(crate) const MAX_IN_FLIGHT: usize = 1 << 20;
/// Descriptors that are no peers': the three standard ones, the poll with what
/// wakes it, the server's pipes; generously.
pub(crate) const OTHER_DESCRIPTORS: u64 = 32;
/// Handshakes under way at once: enough to keep both ends busy, and less than
/// any server keeps waiting or unproved.
pub(crate) const HANDSHAKES_AT_ONCE: usize = 256;
/// How long replies may take once nothing more is sent.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);
/// How long peers may take to be complete: a second more than the library's own
/// deadline for it, so that what is said is the library's reason.
pub(crate) const COMPLETION: Duration =
    sealwire::limits::CLOSING_DEADLINE.saturating_add(Duration::from_secs(1));
/// How long the server that we started may take to leave when it is told so.
pub(crate) const SERVER_LEAVES: Duration = Duration::from_secs(1);
/// How many places in the pattern a message may begin at. A prime, so that every
/// stride visits all of them; small, so that the pattern stays in cache.
pub(crate) const PLACES: usize = 65_521;
/// Decimal digits that the histograms keep.
pub(crate) const DIGITS: u8 = 3;
/// How often a terminal's line is drawn anew.
pub(crate) const REDRAW: Duration = Duration::from_millis(100);
/// How often a line is printed where there is no terminal.
pub(crate) const LINE_EVERY: Duration = Duration::from_secs(1);
