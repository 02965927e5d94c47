//! The programs' own bounds, each with its reason. Those of the engine are in
//! [`sealwire::limits`].

use std::time::Duration;

/// Most bytes of lines that wait for stderr, about 800 lines: enough to see what happened,
/// and a reader that is a little late loses nothing.
pub const LOG_WAITING: usize = 1 << 16;
/// Most bytes of them in one write: what a pipe takes whole (`PIPE_BUF`).
pub const LOG_PIECE: usize = 4096;
/// How long the program waits before it tries a full stderr again: five tries a second
/// cost nothing, and a reader does not notice the wait.
pub const LOG_RETRY: Duration = Duration::from_millis(200);
/// How long a program that ends waits for a full stderr: shorter than a user takes for a
/// second Ctrl-C.
pub const LOG_PATIENCE: Duration = Duration::from_millis(200);
/// Refusals of unproved connections logged in each [`LOG_PERIOD`]; the rest are counted,
/// because a stranger can cause any number of them.
pub const REFUSALS_LOGGED: u32 = 5;
/// Peers that come or leave, logged likewise: more scroll by faster than a person reads.
pub const VISITS_LOGGED: u32 = 10;
/// Failures of proved peers, and lines of our own input, logged likewise: more, because
/// each says what to look at.
pub const FAILURES_LOGGED: u32 = 20;
/// The period of these three bounds, short enough that the count of the rest comes soon.
pub const LOG_PERIOD: Duration = Duration::from_secs(1);

/// How long a connection must have lasted for the waits between tries to begin anew: one that a
/// full server ends at once does not count.
pub const LASTING: Duration = Duration::from_secs(2);

/// How long a message to the service manager may wait for room: it reads at once, and a busy
/// one must not hold up peers.
pub const NOTIFY_PATIENCE: Duration = Duration::from_millis(100);

/// Largest key file: ten thousand keys with long names, and where each may go, take less, and a
/// larger one is some other file.
pub const MAX_KEY_FILE: usize = 4 << 20;
/// How long the loop waits at most before it looks again whether a key file has been read,
/// which a thread does: an operator does not notice it.
pub const KEYS_LOOK: Duration = Duration::from_millis(10);
/// Most names of a key file that a message shows: they fit a screen.
pub const NAMES_SHOWN: usize = 20;
/// How long keys may take to come through a pipe with a name: a program that decrypts them
/// needs a second or two, and its writer may never come.
pub const NAMED_PIPE_DEADLINE: Duration = Duration::from_secs(10);
/// How long through one without a name, as in `--keys <(gpg -d keys)`: it has a writer,
/// which may wait for a person to type a passphrase.
pub const UNNAMED_PIPE_DEADLINE: Duration = Duration::from_secs(120);
/// Largest `--max-idle`: a user that wants longer wants no bound, which is 0.
pub const LONGEST_IDLE: Duration = Duration::from_secs(365 * 86_400);
