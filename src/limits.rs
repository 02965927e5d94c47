//! Every bound, each with its reason; what must hold between them is checked
//! when this is compiled.
//!
//! Sizes are in bytes. What the wire fixes is marked `PROTOCOL.md`; the rest is
//! ours to choose. What a user may set is in [`Limits`].

use std::time::Duration;

/// Bytes of an AES block (FIPS 197).
pub const BLOCK: usize = 16;
/// Bytes of a record's length field (`PROTOCOL.md` §1.3).
pub const RECORD_HEADER: usize = 2;
/// Bytes of a record's tag: HMAC-SHA256 cut in half (`PROTOCOL.md` §1.3).
pub const TAG: usize = 16;
/// Most payload bytes of one record (`PROTOCOL.md` §1.3).
pub const MAX_PAYLOAD: usize = 16_384;
/// Most blocks of one record: a full payload, its kind, and padding
/// (`PROTOCOL.md` §1.3).
pub const MAX_BLOCKS: usize = 1025;
/// Bytes of the longest record.
pub const MAX_RECORD: usize = RECORD_HEADER + MAX_BLOCKS * BLOCK + TAG;
/// Bytes of the shortest record.
pub const MIN_RECORD: usize = RECORD_HEADER + BLOCK + TAG;
/// Most payload bytes of an ABORT: the reason and 256 bytes of text.
pub const MAX_ABORT: usize = 257;
/// Records of one direction under one set of keys, as a power of two
/// (`PROTOCOL.md` §1.4).
pub const EPOCH_BITS: u32 = 20;
/// The last sequence of a direction (`PROTOCOL.md` §1.4).
pub const LAST_SEQUENCE: u64 = (1 << 48) - 1;

/// Bytes of the client's hello (`PROTOCOL.md` §1.2).
pub const CLIENT_HELLO: usize = 80;
/// Bytes of the server's hello (`PROTOCOL.md` §1.2).
pub const SERVER_HELLO: usize = 72;

/// Most characters of a classic frame, and most bytes of one we send
/// (`PROTOCOL.md` §2).
pub const CLASSIC_TEXT: usize = 15;
/// Bytes of a classic frame as we send it.
pub const CLASSIC_FRAME: usize = 112;
/// Bytes of the longest classic frame the old program sends: 15 characters of
/// 4 bytes each pad to 64.
pub const MAX_CLASSIC_FRAME: usize = 160;

/// From accept to the whole of the first record (`PROTOCOL.md` §1.2).
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// From a record's first byte to its last (`PROTOCOL.md` §1.3).
pub const RECORD_DEADLINE: Duration = Duration::from_secs(30);
/// From a classic frame's first byte to its last (`PROTOCOL.md` §2).
pub const CLASSIC_FRAME_DEADLINE: Duration = Duration::from_secs(5);
/// A connection silent this long takes a classic slot (`PROTOCOL.md` §2).
pub const CLASSIC_SILENCE: Duration = Duration::from_secs(1);
/// A proved side that has sent nothing for this long sends PING
/// (`PROTOCOL.md` §1.5).
pub const PING_AFTER: Duration = Duration::from_secs(30);
/// Silence that ends a connection (`PROTOCOL.md` §1.5).
pub const SILENCE_DEADLINE: Duration = Duration::from_secs(90);
/// How long a side that has said all reads on for the other's end of stream
/// (`PROTOCOL.md` §1.3).
pub const CLOSING_DEADLINE: Duration = Duration::from_secs(5);
/// From the first lookup to a connection, over all addresses of a name.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// How long the next address waits for the one before it: RFC 8305 §5.
pub const CONNECT_STAGGER: Duration = Duration::from_millis(250);
/// Silence after which TCP itself asks whether the other machine is still
/// there. With [`KEEPALIVE_INTERVAL`] and [`KEEPALIVE_PROBES`] a dead one is
/// noticed within [`SILENCE_DEADLINE`] where PING does not exist: in classic.
pub const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
/// How long TCP waits between two such questions.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How many unanswered ones end the connection.
pub const KEEPALIVE_PROBES: u32 = 3;
/// How long a stopped program lets its peers finish.
pub const STOP_DEADLINE: Duration = Duration::from_secs(5);
/// How long after [`STOP_DEADLINE`] the ABORTs may take to leave.
pub const STOP_GRACE: Duration = Duration::from_secs(1);
/// A receiver over high water that takes nothing for this long while others wait
/// or, when memory is short, of whatever waits for it, is aborted as too slow.
pub const TOO_SLOW: Duration = Duration::from_secs(1);
/// How long a listener rests when descriptors have run out, so that it does not
/// spin on a connection it cannot accept.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Room that one tick reads into. 32 full records fill every lane, and still fit the
/// second-level cache.
pub const INPUT_SCRATCH: usize = 32 * MAX_RECORD;
/// Room that one round of sealing writes into: as much, for the same reason.
pub const OUTPUT_SCRATCH: usize = 32 * MAX_RECORD;
/// Bytes that one tick seals, unless more peers than it has [`LEAST_SHARE`]s for want
/// something: [`MOST_SHARE`] for each of eight. What leaves in one piece comes in one
/// piece, or in few, and fills lanes there, too.
pub const OUTPUT_TICK: usize = 8 * MOST_SHARE;
/// Bytes of either that one peer may take at least, unless less is left, however many
/// there are: four full records, so that few calls are needed, and nobody waits long
/// for its turn. Of classic frames, what is sent in one tick.
pub const LEAST_SHARE: usize = 4 * MAX_RECORD;
/// Bytes of either that one peer may take at most, however few there are: 16 full
/// records are a whole set of lanes, where they go in sets. Also what may be kept of what
/// its socket did not take.
pub const MOST_SHARE: usize = 16 * MAX_RECORD;

/// What each of `many` peers, which are not none, may take of so much `room`: as many
/// full records as come to each, so that a stream is not cut within one.
pub fn share(room: usize, many: usize) -> usize {
    let records = room / many / MAX_RECORD;
    (records * MAX_RECORD)
        .clamp(LEAST_SHARE, MOST_SHARE)
        .min(room)
}

/// Who has given this much in one read streams: a full record, whose opening and
/// sealing others would wait for longer than for their own.
pub const STREAM_FROM: usize = MAX_RECORD;
/// Until it gives less than this: well below, so that a read which came early is not
/// taken for a change. Who stays between both is what it was.
pub const CHAT_BELOW: usize = 2048;

/// Bytes that the system keeps of a connection that we made, and cannot send yet:
/// what is sealed at a time, so that the other side has more to read meanwhile. On
/// loopback it is in the reader's time that what is kept beyond that is sent.
pub const UNSENT: u32 = MOST_SHARE as u32;
/// Most bytes read from one local in one tick: as many as are sealed at a time.
pub const LOCAL_BUDGET: usize = MOST_SHARE / MAX_RECORD * STREAM_MESSAGE;
/// Most bytes read from one local in one tick where each line is a message: what a
/// pipe holds by default.
pub const LINES_BUDGET: usize = 65_536;
/// Largest message made of a stream; one record each, so that nothing has to be
/// put together at the far side.
pub const STREAM_MESSAGE: usize = MAX_PAYLOAD;
/// A local that feeds peers is not read while one of them has this much queued:
/// enough to keep its socket busy, little enough, with what one more read brings, to
/// stay in cache.
pub const INPUT_HIGH_WATER: usize = 4 * STREAM_MESSAGE;
/// Longest line of a terminal or of classic input that is kept as one message;
/// a longer one is cut here.
pub const MAX_LINE: usize = 1 << 20;
/// What an item in a queue costs besides its bytes: its node, its buffer's entry,
/// what the allocator adds. Counted, because short and empty messages queue, too.
pub const QUEUED_ITEM: usize = 128;
/// Records that one tick of a relay may make, about: what it reads times those
/// who get it. 40 MB of queue items, a second's work. Lines of a local likewise.
pub const FAN_OUT: usize = 1 << 20;
/// Queue items that the store keeps room for when it is empty.
pub const KEPT_ITEMS: usize = 1 << 16;
/// Buffers up to this size are made to measure and not kept: a short message must
/// not hold a buffer made for a long one. Pieces of a stream below it are copied
/// together, which costs less than an item each.
pub const SHORT: usize = 2048;
/// Sizes of buffers that are needed all the time, for partial records and for what
/// sockets did not take; for more than how many bytes, and how many of each are kept for
/// reuse: 4, 8 and 8 MiB.
pub const KEPT_BUFFERS: [(usize, usize, usize); 3] = [
    (SHORT, MAX_RECORD, 256),
    (MAX_RECORD, LEAST_SHARE, 128),
    // What is less than half of it is rare, and made to measure.
    (MOST_SHARE / 2, MOST_SHARE, 32),
];
/// Bytes of a message that a terminal is given at a time: a screenful. Marked and
/// escaped, that may be sixty times as much.
pub const SCREEN_PIECE: usize = 4096;
/// Slices that one write to a local gathers; Linux takes up to 1024.
pub const GATHER: usize = 64;

/// Connections that may be unproved at once; past it the oldest is closed. Each
/// may hold one record's buffer: 16 MiB in all.
pub const MAX_UNPROVED: usize = 1024;
/// Peers accepted from one listener in one turn of the loop, so that a flood of
/// connections does not starve those that are there.
pub const ACCEPT_BUDGET: usize = 256;
/// Connections that the system may keep for us until they are accepted: all it
/// lets us have (it cuts this down to its own limit), because a burst of
/// clients that is refused only comes back.
pub const LISTEN_BACKLOG: i32 = i32::MAX;
/// Events that one poll brings at most: more than a process usually may have
/// descriptors, because whoever has said something is to be known before it is asked
/// who has not. Of the memory for them only that of those that come is touched.
pub const EVENTS: usize = 1 << 16;
/// Longest tick that is told from longer ones.
pub const LONGEST_TICK: Duration = Duration::from_secs(60);
/// Silent or unproved connections that may hold a classic slot at once
/// (`PROTOCOL.md` §2).
pub const MAX_CLASSIC_UNPROVED: usize = 64;
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
/// Largest message limit that a user may set: offsets into one message and what
/// is read behind it still fit 32 bits.
pub const MAX_MESSAGE: usize = 1 << 30;

/// Most proved peers that a user may allow, and the default: as many as Linux lets a
/// process have descriptors, unless it is told otherwise.
pub const MAX_PEERS: usize = 1 << 20;
/// Largest bound on memory that a user may set: no machine has more, and sums of a few
/// of them still fit 64 bits.
pub const MAX_MEMORY: usize = 1 << 40;

/// What a user may set.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Most bytes of a message that is received; at least 16 MiB unless told
    /// otherwise (`PROTOCOL.md` §1.3).
    pub max_message: usize,
    /// Most bytes of unfinished messages over all peers; past it the peer with
    /// the largest is aborted.
    pub max_assembling: usize,
    /// High water: most bytes queued for one receiver before those who feed it
    /// are not read. At least a whole message, so that two programs that both
    /// write one before they read never wait for each other.
    pub max_queue: usize,
    /// Most bytes queued for all receivers; past it one may hold no more than
    /// [`INPUT_HIGH_WATER`] before those who feed it are not read, and who takes
    /// nothing is given up. At twice that much nobody is read who adds to it.
    pub max_queued: usize,
    /// Most proved peers.
    pub max_peers: usize,
    /// How long a program that ends with its peers waits for one that makes no
    /// progress; PING and PONG are none. `None`: for ever.
    pub max_idle: Option<Duration>,
}

impl Limits {
    /// The defaults, for messages of up to `max_message` bytes: what must hold a
    /// whole one, in its buffers, is raised where it would not.
    pub fn for_messages(max_message: usize) -> Self {
        let usual = Self::default();
        let whole = Self::whole(max_message);
        Self {
            max_message,
            max_assembling: usual.max_assembling.max(whole),
            max_queue: usual.max_queue.max(whole),
            max_queued: usual.max_queued.max(2 * whole),
            ..usual
        }
    }

    /// The memory that a whole message of `max_message` bytes takes: what
    /// [`max_assembling`](Self::max_assembling) and [`max_queue`](Self::max_queue)
    /// are at least.
    pub const fn whole(max_message: usize) -> usize {
        max_message.div_ceil(MAX_PAYLOAD) * (MAX_RECORD + QUEUED_ITEM)
    }

    /// These, with `max_queue` for one receiver, and for all of them no less than
    /// two.
    pub fn with_queue(self, max_queue: usize) -> Self {
        Self {
            max_queue,
            max_queued: self.max_queued.max(2 * max_queue),
            ..self
        }
    }
}

/// The largest message, unless told otherwise (`PROTOCOL.md` §1.3).
const USUAL_MESSAGE: usize = 16 << 20;
/// Longest time that a peer may make no progress, where there is a bound at all.
pub const LONGEST_IDLE: Duration = Duration::from_secs(365 * 86_400);
/// How long a peer may make no progress, unless told otherwise: longer than a backup
/// thinks before its first byte, and still the same night.
const USUAL_IDLE: Duration = Duration::from_secs(3600);
/// What may be queued for one receiver, unless told otherwise: such a message.
const USUAL_QUEUE: usize = 17 << 20;

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: USUAL_MESSAGE,
            max_assembling: 256 << 20,
            max_queue: USUAL_QUEUE,
            max_queued: 256 << 20,
            max_peers: MAX_PEERS,
            max_idle: Some(USUAL_IDLE),
        }
    }
}

const _: () = {
    assert!(
        MAX_BLOCKS * BLOCK > MAX_PAYLOAD,
        "a kind follows every payload"
    );
    assert!(LEAST_SHARE <= MOST_SHARE);
    assert!(
        INPUT_SCRATCH >= LEAST_SHARE && OUTPUT_SCRATCH >= LEAST_SHARE,
        "a tick can serve at least one peer"
    );
    assert!(
        LEAST_SHARE >= MAX_RECORD,
        "a share below one record never makes progress"
    );
    assert!(CHAT_BELOW < STREAM_FROM);
    assert!(STREAM_MESSAGE <= MAX_PAYLOAD);
    assert!(Limits::whole(USUAL_MESSAGE) <= USUAL_QUEUE);
    assert!(
        INPUT_SCRATCH / MIN_RECORD < 1 << EPOCH_BITS
            && OUTPUT_SCRATCH / MIN_RECORD < 1 << EPOCH_BITS,
        "a batch crosses at most one epoch"
    );
    assert!(PING_AFTER.as_secs() * 2 < SILENCE_DEADLINE.as_secs());
    assert!(
        KEEPALIVE_AFTER.as_secs() + KEEPALIVE_PROBES as u64 * KEEPALIVE_INTERVAL.as_secs()
            <= SILENCE_DEADLINE.as_secs()
    );
};
