//! Every bound of the load tester, each with its reason.

use std::ops::Range;
use std::time::Duration;

use sealwire::limits::{
    CLOSING_DEADLINE, CONNECT_DEADLINE, HANDSHAKE_DEADLINE, MAX_PAYLOAD, MIN_RECORD, MOST_SHARE,
    RECORD_DEADLINE,
};

// ---- what may be asked for -------------------------------------------------

/// Longest time that may be typed: a typing mistake costs no more than an hour, and every
/// latency fits the histogram.
pub(crate) const MAX_DURATION: Duration = Duration::from_secs(3600);
/// Chunks in flight over all peers; each takes a few dozen bytes on both sides.
pub(crate) const MAX_IN_FLIGHT: usize = 1 << 20;
/// Descriptors that belong to no peer: standard ones, the poll, the server's pipes; generously.
pub(crate) const OTHER_DESCRIPTORS: u64 = 32;
/// Messages per second: more than any machine sends one by one.
pub(crate) const MAX_RATE: f64 = 1e8;
/// Threads: more than any load tester has processors.
pub(crate) const MAX_THREADS: usize = 64;
/// Rounds of a comparison: a day of runs of a second.
pub(crate) const MAX_ROUNDS: usize = 1000;
/// Publishers of a fanout: each has its own places in the pattern, and needs some hundreds.
pub(crate) const MAX_PUBLISHERS: usize = 128;

// ---- searches --------------------------------------------------------------

/// Runs of each rate of a search, unless others are asked for: the least that have a majority
/// after one that differs.
pub(crate) const SEARCH_ROUNDS: usize = 3;
/// Most runs of each rate of a search: more would change no majority that can be told.
pub(crate) const MAX_SEARCH_ROUNDS: usize = 100;
/// Which part of the closed loop's rate a search begins with: most servers meet a bound there.
pub(crate) const SEARCH_BEGINS: f64 = 0.5;
/// How a search goes up until a rate is missed, and down until one is met. Up in small steps: the
/// closed loop's rate is near, and beyond it the load tester may be the bound.
pub(crate) const SEARCH_UP: f64 = 1.25;
pub(crate) const SEARCH_DOWN: f64 = 2.0;
/// The highest rate of a search, by the closed loop's: as many messages may be in flight in both
/// loops, so that no open loop gets far beyond it.
pub(crate) const SEARCH_MOST: f64 = 1.5;
/// The lowest rate of a search, by that which it begins with: ten halvings.
pub(crate) const SEARCH_LEAST: f64 = 1.0 / 1024.0;
/// How near the lowest rate that is missed is to the highest that is met when a search ends:
/// about what a server's limit changes from run to run.
pub(crate) const SEARCH_WIDTH: f64 = 1.05;
/// What a run of a search or a sweep takes beside its time to load: its peers join, begin and leave.
/// Generously, as the user is told how long all runs take at most.
pub(crate) const RUN_BESIDE: Duration = Duration::from_millis(200);
/// How many rates a sweep has, unless others are asked for, and at most.
pub(crate) const SWEEP_STEPS: usize = 10;
pub(crate) const MAX_SWEEP_STEPS: usize = 1000;
/// The knee of a curve is the last rate with less than this many times the lowest p99.
pub(crate) const KNEE: f64 = 2.0;

// ---- baselines -------------------------------------------------------------

/// How likely runs of one build may differ as much as those that count as better or worse. Five
/// figures decide, so that one comparison in forty is a false alarm. Six rounds of each can be as
/// unlikely.
pub(crate) const BASELINE_CHANCE: f64 = 0.005;
/// Fewest rounds of either: of two or three, one disturbed round is too great a part.
pub(crate) const BASELINE_LEAST: usize = 5;
/// Least change of a median that counts, however sure it is: less is what the same machine may
/// change from one hour to another.
pub(crate) const BASELINE_CHANGE: f64 = 0.05;
/// Rounds that count: more would take the exact test long, and tell little more.
pub(crate) const BASELINE_RUNS: usize = 30;
/// Bytes of an old report: a thousand rounds have less.
pub(crate) const BASELINE_BYTES: u64 = 256 << 20;
/// Characters of a value that a refusal shows.
pub(crate) const BASELINE_SHOWN: usize = 80;

// ---- the load --------------------------------------------------------------

/// Of a publisher's places in the pattern, the part that may be in flight at once: with half
/// of them a repeat is never taken for the message that began at the same place before.
pub(crate) const PLACES_IN_FLIGHT: usize = 2;
/// How many places in the pattern a message may begin at. A prime, so that every
/// stride visits all of them; small, so that the pattern stays in cache.
pub(crate) const PLACES: usize = 65_521;
/// How often idle peers send a message, unless `-r` says otherwise.
pub(crate) const IDLE_EVERY: Duration = Duration::from_secs(10);
/// Bytes that wait for each peer of a stream: twice what is sent at once, so that a stream never
/// runs dry.
pub(crate) const STREAMED: usize = 2 * MOST_SHARE;
/// How many missing messages are remembered, for each publisher and subscriber. Among them a
/// late message is told from a repeated one.
pub(crate) const MISSING: u64 = 1024;
/// In how many parts a peer's unsent messages are counted: ages are right to a thousandth.
pub(crate) const NEVER_SENT: u64 = 1024;
/// Handshakes in progress at once: enough to keep both sides busy, and fewer than any server
/// keeps waiting or unproved.
pub(crate) const HANDSHAKES_AT_ONCE: usize = 256;
/// Ports of a given source address: below those that Linux chooses from. A connection that ends
/// blocks its port for a minute, for every program that lets the system choose.
pub(crate) const PORTS: Range<u16> = 4096..32_768;
/// Ports that are tried for a connection: more than are likely to be taken in a row, and few
/// enough to fail at once when all are.
pub(crate) const PORT_TRIES: usize = 256;
/// Pause after a connection that this machine could not begin: the next would fail as well.
pub(crate) const CONNECT_PAUSE: Duration = Duration::from_millis(10);

// ---- waiting ---------------------------------------------------------------

/// How long a rival's connection may take to join: the library's times for TCP and handshake.
pub(crate) const JOINING: Duration = CONNECT_DEADLINE.saturating_add(HANDSHAKE_DEADLINE);
/// How long peers may take to be complete: a second more than the library's own deadline, so
/// that the library says the reason.
pub(crate) const COMPLETION: Duration = CLOSING_DEADLINE.saturating_add(Duration::from_secs(1));
/// How long a run that the user ended waits for answers, and then for its peers to be complete;
/// later ones count as in flight. With [`LOOK_STOPPED`] the report comes within 200 ms.
pub(crate) const DRAIN: Duration = Duration::from_millis(50);
/// How often a thread looks whether the user ended the run.
pub(crate) const LOOK_STOPPED: Duration = Duration::from_millis(50);
/// Shortest time of which figures are made: rates of a shorter one would be those of a few
/// messages.
pub(crate) const LEAST_MEASURED: Duration = Duration::from_millis(10);
/// How long a server of ours may take to leave when it is told to.
pub(crate) const SERVER_LEAVES: Duration = Duration::from_secs(1);
/// How long a server may take to accept the peers that TCP has connected: it may have a backlog
/// of thousands, and share a processor.
pub(crate) const ACCEPTED: Duration = Duration::from_secs(2);
/// How often to check whether a server has left.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How often a thread checks whether it may begin, and a run whether its server has all peers.
pub(crate) const LOOK_TO_BEGIN: Duration = Duration::from_millis(1);
/// The time between the word to begin and the beginning, so that all threads have received it.
pub(crate) const HEAD_START: Duration = Duration::from_millis(20);
/// Shortest wait for reports of threads.
pub(crate) const LISTEN: Duration = Duration::from_micros(10);
/// How often the live line is drawn, and how often other waits check whether the user ended the
/// run.
pub(crate) const REDRAW: Duration = Duration::from_millis(100);

// ---- cohorts ---------------------------------------------------------------

/// Misbehaving peers at once: most that the descriptors of a usual process allow beside others.
pub(crate) const MAX_COHORT: usize = 1 << 14;
/// Connections that a group begins in a second, also where no rate was typed: about what one
/// thread can begin, and a storm for any server.
pub(crate) const MAX_COHORT_RATE: f64 = 20_000.0;
/// How much of what it missed a group makes up for, so that a pause of its thread changes no
/// number of connections, but a longer one makes no burst.
pub(crate) const COHORT_CATCH_UP: Duration = Duration::from_secs(1);
/// Events of one poll; more of them wait for the next.
pub(crate) const COHORT_EVENTS: usize = 1024;
/// Bytes of one read, and of the chunks of a message: a full record.
pub(crate) const COHORT_CHUNK: usize = MAX_PAYLOAD;
/// Reads or writes in one turn of a peer, so that one that never waits starves no other.
pub(crate) const COHORT_TURNS: usize = 8;
/// PINGs that are sealed at a time: they fill the lanes.
pub(crate) const COHORT_PINGS: usize = 64;
/// Time between two bytes of a record that must prove a peer: 34 of them take longer than the
/// handshake may.
pub(crate) const DRIP_EVERY: Duration = Duration::from_millis(200);
/// Time between two bytes of a slow writer: each of its records is whole long before its
/// deadline.
pub(crate) const SLOW_BYTE_EVERY: Duration = Duration::from_millis(100);
/// What a slow reader reads at a time, and how often.
pub(crate) const TRICKLE: usize = 8 << 10;
pub(crate) const TRICKLE_EVERY: Duration = Duration::from_millis(500);
/// What the system keeps for a slow reader: a few of its reads.
pub(crate) const TRICKLE_BUFFER: usize = 8 * TRICKLE;
/// How much later than it should a peer may be ended: the load may use all processors.
pub(crate) const COHORT_SLACK: Duration = Duration::from_secs(2);
/// Bytes of a message that no server takes by default: twice its limit, because many bytes may be
/// on their way.
pub(crate) const HUGE: u64 = 32 << 20;
/// The pause after a run with a cohort, so that the next finds the server as it was.
pub(crate) const COHORT_PAUSE: Duration = Duration::from_secs(1);

// ---- measuring -------------------------------------------------------------

/// Decimal digits that the histograms keep.
pub(crate) const DIGITS: u8 = 3;
/// Lines for each halving of what is above a percentile: as plotters expect.
pub(crate) const HDR_STEPS: u32 = 5;
/// Interval of a time series. A short run has about [`INTERVALS`] shorter ones.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);
pub(crate) const INTERVALS: u32 = 10;
pub(crate) const SHORT_INTERVAL: Duration = Duration::from_millis(100);
/// Largest batch when the cost of sealing is measured: twice the lanes; beyond that the cost
/// does not change. Large messages are bounded by the second-level cache.
pub(crate) const COST_BATCH: usize = 64;
pub(crate) const COST_BYTES: usize = 1 << 20;
/// Rounds of that measurement; the median counts.
pub(crate) const COST_ROUNDS: usize = 25;

// ---- rivals ----------------------------------------------------------------

/// Pieces that one write gathers: as many small messages as fill some segments.
pub(crate) const GATHER: usize = 256;
/// Most that TLS seals at once: full records, as many as the shared buffer holds.
#[cfg(feature = "tls")]
pub(crate) const SEALED: usize =
    MOST_SHARE / sealwire::limits::MAX_PAYLOAD * sealwire::limits::MAX_PAYLOAD;
/// Bytes for the record that ends a direction of TLS; it takes 24.
#[cfg(feature = "tls")]
pub(crate) const ALERT: usize = 64;

// ---- which figures can be trusted ------------------------------------------

/// Samples above a quantile, and of a mean or a maximum, so that a few do not decide it.
pub(crate) const SAMPLES_ABOVE: u64 = 10;
/// Part of the due messages to answer in the measured time. With less, the times belong to
/// another load than was asked for.
pub(crate) const ACHIEVED: f64 = 0.99;
/// How many messages a short schedule may miss: one at either end of the measured time.
pub(crate) const SLACK_AT_ENDS: f64 = 2.0;
/// How many standard deviations chance may explain: four occur about once in 16,000 runs.
pub(crate) const CHANCE: f64 = 4.0;
/// How late the load tester may be at its 99th percentile: a scheduler takes that now and then.
pub(crate) const LAG_ALLOWED: Duration = Duration::from_millis(1);
/// The allowed lag as a part of the median service time, if that is longer: it changes no figure
/// visibly.
pub(crate) const LAG_OF_SERVICE: f64 = 0.1;
/// From this many times the allowed lag on, the times are the load tester's own.
pub(crate) const LAG_INVALID: f64 = 10.0;
/// Part of the response time at the same percentile that lag may be, however short it is: with
/// more, it is the greater part of the figure.
pub(crate) const LAG_OF_RESPONSE: f64 = 0.5;
/// A thread that runs or waits for a processor this part of the time is at its limit: the system
/// takes the rest.
pub(crate) const BUSY: f64 = 0.95;
/// Part of the time that a thread may wait for a processor: more makes its times the machine's.
pub(crate) const WAITS: f64 = 0.2;
/// How far the figures may miss Little's law: within what the ends of the measured time cut off;
/// and beyond what any end explains.
pub(crate) const LITTLE_SUSPECT: f64 = 0.02;
pub(crate) const LITTLE_INVALID: f64 = 0.1;
/// Little's law is not checked with fewer samples, nor if a message takes longer than this part
/// of the measured time: then the ends cut off more.
pub(crate) const LITTLE_SAMPLES: u64 = 1000;
pub(crate) const LITTLE_SERVICE: f64 = 0.02;
/// How much the halves of a run may differ before the run counts as unsteady.
pub(crate) const HALVES: f64 = 0.1;
/// How much more of the processors other programs must have had in one half than in the other, to
/// explain a change: what coarse ticks may hide; and, as a part of what the server and the load
/// tester had, this part of the change.
pub(crate) const OTHERS: f64 = 0.03;
pub(crate) const OTHERS_EXPLAIN: f64 = 0.5;
/// In a comparison, a change is the server's if it repeats in this part of the runs, of so many at
/// least: noise has no direction.
pub(crate) const REPEATS: f64 = 0.75;
pub(crate) const REPEATS_RUNS: usize = 4;
/// Intervals, and answers in each half, that a comparison of them needs.
pub(crate) const HALVES_INTERVALS: usize = 4;
pub(crate) const HALVES_SAMPLES: u64 = 100;
/// Shortest freeze: less is what a scheduler takes now and then; and it is at least this part of
/// the run, so that all of them fit in memory.
pub(crate) const FREEZE: Duration = Duration::from_millis(10);
pub(crate) const FREEZE_OF_RUN: u32 = 1000;
/// How much longer than usual a silence must be: where the times between answers vary as much as
/// by chance (an exponential distribution), a twentieth of the time lies in longer ones.
pub(crate) const FREEZE_OF_USUAL: u32 = 5;
/// What is usual: this part of the time lies in silences that are no longer. So a server may stand
/// still for most of a run, and what is usual stays the same.
pub(crate) const USUAL_GAP: f64 = 0.25;
/// A silence of this part of the run is a freeze, whatever is usual.
pub(crate) const FREEZE_SURE: f64 = 0.5;
/// Part of the run that a server may stand still, whole or in pieces.
pub(crate) const FROZEN: f64 = 0.1;
/// How many freezes a reason names: the longest.
pub(crate) const FREEZES_NAMED: usize = 3;
/// Part of the messages or peers that may fail before the load is another one.
pub(crate) const FAILED: f64 = 0.01;

const _: () = {
    let bytes = MIN_RECORD as u128;
    assert!(DRIP_EVERY.as_millis() * bytes > HANDSHAKE_DEADLINE.as_millis());
    assert!(SLOW_BYTE_EVERY.as_millis() * bytes * 2 < RECORD_DEADLINE.as_millis());
};
