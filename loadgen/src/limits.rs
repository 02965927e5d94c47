//! Every bound of the load tester, each with its reason.

use std::ops::Range;
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
/// How long a connection over a stream may take to be one, and its handshake: both of
/// what the library allows for each.
pub(crate) const JOINING: Duration =
    sealwire::limits::CONNECT_DEADLINE.saturating_add(sealwire::limits::HANDSHAKE_DEADLINE);
/// How long peers may take to be complete: a second more than the library's own
/// deadline for it, so that what is said is the library's reason.
pub(crate) const COMPLETION: Duration =
    sealwire::limits::CLOSING_DEADLINE.saturating_add(Duration::from_secs(1));
/// How long a user who ended a run waits for answers at most; those that take longer
/// are told as in flight.
pub(crate) const DRAIN: Duration = Duration::from_secs(1);
/// How long the server that we started may take to leave when it is told so.
pub(crate) const SERVER_LEAVES: Duration = Duration::from_secs(1);
/// How often it is looked whether that has ended.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How often a wait for something else looks whether the user wants it to end: nobody
/// notices a tenth of a second.
pub(crate) const LOOK_TO_END: Duration = Duration::from_millis(100);
/// How many places in the pattern a message may begin at. A prime, so that every
/// stride visits all of them; small, so that the pattern stays in cache.
pub(crate) const PLACES: usize = 65_521;
/// Decimal digits that the histograms keep.
pub(crate) const DIGITS: u8 = 3;
/// Lines for each halving of what is above a percentile, where plotters read them: as
/// many as others of that form have.
pub(crate) const HDR_STEPS: u32 = 5;
/// How often a terminal's line is drawn anew.
pub(crate) const REDRAW: Duration = Duration::from_millis(100);
/// Bytes that wait for each peer of a stream: twice what is sent at a time, so that
/// there is always more.
pub(crate) const STREAMED: usize = 2 * sealwire::limits::MOST_SHARE;
/// Rows of a time series: one a second, and in a short run about ten.
pub(crate) const ROW: Duration = Duration::from_secs(1);
/// How many that is.
pub(crate) const ROWS: u32 = 10;
/// The shortest row.
pub(crate) const SHORT_ROW: Duration = Duration::from_millis(100);
/// How long a wait for what threads say is at least.
pub(crate) const LISTEN: Duration = Duration::from_micros(10);
/// How often a thread looks whether it is to begin, or the server whether it has
/// everybody.
pub(crate) const LOOK_TO_BEGIN: Duration = Duration::from_millis(1);
/// Between the word to begin and the beginning, so that all threads are there.
pub(crate) const HEAD_START: Duration = Duration::from_millis(20);
/// How long a server may take to accept those that TCP has connected: with a backlog of
/// thousands, and a processor that it shares.
pub(crate) const ACCEPTED: Duration = Duration::from_secs(2);
/// The most messages of a batch when the cost of sealing is measured: as many as lanes
/// twice over, behind which it does not change, and of large ones as many as fit the
/// second-level cache.
pub(crate) const COST_BATCH: usize = 64;
/// Bytes of those.
pub(crate) const COST_BYTES: usize = 1 << 20;
/// Rounds of that; the median counts.
pub(crate) const COST_ROUNDS: usize = 25;
/// Messages per second that may be asked for: more than any machine sends one by
/// one.
pub(crate) const MAX_RATE: f64 = 1e8;
/// Threads: more than processors that anybody tests from.
pub(crate) const MAX_THREADS: usize = 64;
/// How rarely idle peers say something, unless told otherwise.
pub(crate) const IDLE_EVERY: Duration = Duration::from_secs(10);
/// Publishers of a fanout: each has its own part of the pattern's places, of which
/// some thousands must be left for what is under way.
pub(crate) const MAX_PUBLISHERS: usize = 16;
/// How many missing messages are remembered, for each publisher and subscriber; one
/// that comes behind its followers is told from a second one only among them.
pub(crate) const MISSING: u64 = 1024;
/// Buffers for the first parts of messages that nobody has, to be used again: as many
/// as peers are likely to be within a message at the same time.
pub(crate) const KEPT: usize = 64;
/// Most that TLS seals at a time: full records, which the room has space for.
#[cfg(feature = "tls")]
pub(crate) const SEALED: usize =
    sealwire::limits::MOST_SHARE / sealwire::limits::MAX_PAYLOAD * sealwire::limits::MAX_PAYLOAD;
/// Bytes of room for the record by which TLS says that nothing follows; it takes 24.
#[cfg(feature = "tls")]
pub(crate) const ALERT: usize = 64;
/// Pieces that one write to a socket gathers: as many small messages as fill some
/// segments, and few enough that a list of them is made in no time.
pub(crate) const GATHER: usize = 256;
/// Ports of a given source address: as many as Linux chooses from, and none of those.
/// What ends there keeps its port from everybody who lets the system choose, for a minute,
/// whatever their address.
pub(crate) const PORTS: Range<u16> = 4096..32_768;
/// Ports that are tried for a connection: more than others are likely to have taken in
/// a row, and few enough that running out of them is told at once.
pub(crate) const PORT_TRIES: usize = 256;
/// In how many parts the messages are counted that a peer was never sent: as many as
/// make each of their ages right to a thousandth of the time.
pub(crate) const NEVER_SENT: u64 = 1024;
/// How long none is begun behind a connection that this machine would not even begin.
pub(crate) const CONNECT_PAUSE: Duration = Duration::from_millis(10);
/// How often a server looks whether receivers that hold others up have become too
/// slow.
pub(crate) const LOOK_AT_SLOW: Duration = Duration::from_millis(100);
/// Rounds of a comparison.
pub(crate) const MAX_ROUNDS: usize = 1000;

// ---- what figures may be trusted ------------------------------------------

/// Samples that a quantile has to have above it, to be more than the luck of some
/// of them; and those that a mean or a maximum must be of.
pub(crate) const SAMPLES_ABOVE: u64 = 10;
/// Of the messages that are due, how many are to be answered in the measured
/// time. Less, and the times are those of another load than was asked for.
pub(crate) const ACHIEVED: f64 = 0.99;
/// By how many messages a schedule of so few that one is more than that may miss:
/// one at either end of the measured time.
pub(crate) const SLACK_AT_ENDS: f64 = 2.0;
/// By how many standard deviations chance may explain a difference. Four come
/// about once in 16,000 runs.
pub(crate) const CHANCE: f64 = 4.0;
/// How late the load tester itself may be at its 99th percentile: what a scheduler
/// takes now and then, even where there is a processor to spare.
pub(crate) const LAG_ALLOWED: Duration = Duration::from_millis(1);
/// Or this part of the median service time, where that is longer: it changes no
/// figure that anybody would tell apart.
pub(crate) const LAG_OF_SERVICE: f64 = 0.1;
/// That many times later than it may be, and the times are its own.
pub(crate) const LAG_INVALID: f64 = 10.0;
/// What part of the response time at the same percentile may be the load tester's own
/// lag, however short that is: with more, it is the greater part of what is told.
pub(crate) const LAG_OF_RESPONSE: f64 = 0.5;
/// A thread that runs this part of the time, or would if it had a processor, has no
/// more to give: the rest is what the system takes for itself.
pub(crate) const BUSY: f64 = 0.95;
/// How much of the time it may wait for a processor: of what is sent then, the times
/// are the machine's.
pub(crate) const WAITS: f64 = 0.2;
/// How far Little's law may be missed: by what is cut off at both ends of the
/// measured time; and by what no such end explains.
pub(crate) const LITTLE_SUSPECT: f64 = 0.02;
pub(crate) const LITTLE_INVALID: f64 = 0.1;
/// It is not asked with fewer samples than these, nor if a message takes longer
/// than this part of the measured time: then the ends are more than that.
pub(crate) const LITTLE_SAMPLES: u64 = 1000;
pub(crate) const LITTLE_SERVICE: f64 = 0.02;
/// How much the halves of a run may differ, in what they are told by: the reader
/// would take either for the other.
pub(crate) const HALVES: f64 = 0.1;
/// Intervals, and answers in each half, that it takes to compare them.
pub(crate) const HALVES_ROWS: usize = 4;
pub(crate) const HALVES_SAMPLES: u64 = 100;
/// What part of messages or of peers may fail before the load was another one
/// than asked for.
pub(crate) const FAILED: f64 = 0.01;
