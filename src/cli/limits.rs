//! The programs' own bounds, each with its reason. Those of the engine are in
//! [`sealwire::limits`].

use std::time::Duration;

/// Bytes of lines for stderr that wait while it takes none, about 800 lines: enough to
/// see what happened, and a late reader loses nothing.
pub const LOG_WAITING: usize = 1 << 16;
/// Bytes of them that one write hands over: what a pipe takes whole (`PIPE_BUF`).
pub const LOG_PIECE: usize = 4096;
/// How long the program waits before it tries a stderr that was full again: five tries
/// a second cost nothing, and no reader waits longer than it notices.
pub const LOG_RETRY: Duration = Duration::from_millis(200);
/// How long a program that ends waits for a stderr that is full: a second Ctrl-C would
/// not come sooner.
pub const LOG_PATIENCE: Duration = Duration::from_millis(200);
/// Refusals of unproved connections logged per second; the rest are counted.
pub const REFUSALS_LOGGED: u32 = 5;
/// Peers that come or leave, logged per second; the rest are counted. More scroll by
/// faster than anybody reads.
pub const VISITS_LOGGED: u32 = 10;
/// Failures of proved peers, and lines of our own input, logged per second likewise:
/// more, as each says what to look at.
pub const FAILURES_LOGGED: u32 = 20;
/// How often the bounds on logged lines start anew.
pub const LOG_PERIOD: Duration = Duration::from_secs(1);

/// Largest key file that is read: thousands of keys, and nothing that was meant
/// to be another file.
pub const MAX_KEY_FILE: usize = 1 << 20;
/// How long keys may take to come through a pipe that has a name: a program that decrypts
/// them needs a second or two, and nobody should wait longer for a writer that never
/// comes.
pub const NAMED_PIPE_DEADLINE: Duration = Duration::from_secs(10);
/// How long through one without a name, as in `--keys <(gpg -d keys)`: it has its writer,
/// for which a person may have to type a passphrase.
pub const UNNAMED_PIPE_DEADLINE: Duration = Duration::from_secs(120);
/// Longest time that a peer may make no progress, where there is a bound at all.
pub const LONGEST_IDLE: Duration = Duration::from_secs(365 * 86_400);
