//! Every bound, each with its reason. The compiler checks the relations between them.
//!
//! Sizes are in bytes. A bound that the wire fixes names `PROTOCOL.md`; the others are
//! ours to choose. A user may set those of [`Limits`]. [`ceiling`] derives them from one
//! ceiling of memory.

pub mod ceiling;

use std::ops::RangeInclusive;
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
/// Most messages of one PACK (`PROTOCOL.md` §1.3).
pub const MAX_PACKED: usize = 256;
/// Bytes of the length in front of each message of a PACK (`PROTOCOL.md` §1.3).
pub const PACK_LENGTH: usize = 2;
/// Largest message that is packed with others: at 512 bytes four messages of each of 64
/// peers cost an echo 0.7 to 0.8 of what they cost alone, at 1024 bytes as much or more
/// (`cargo bench --bench engine packs`, Zen 3).
pub const PACK_UP_TO: usize = 512;
/// How many packs all that waits is divided into, if they stay above [`LEAST_PACK`]: records
/// side by side fill the lanes, and 16 of them are a whole set, where lanes go in sets.
pub const PACK_LANES: usize = 16;
/// Bytes of a pack below which it is not divided further: the cost of one more record would
/// exceed what a fuller set of lanes wins.
pub const LEAST_PACK: usize = 1024;
/// Backlogs, of peers that pack more messages than a tick may hand on, are full when their
/// texts take this part of [`Limits::max_assembling`]. Then less is read, and handed on at
/// once; but where each message goes to many, [`CHAT_BELOW`] of each peer are read, and kept in
/// any case. The lists of their records, 16 bytes for each, take as much at most where tags hold:
/// a quarter in all, and what one tick reads.
pub const BACKLOG_PART: usize = 8;
/// How many times as many messages a byte of packs may bring as one of records: a record of
/// 256 empty messages has 546 bytes.
pub const DENSEST: usize = MAX_PACKED * MIN_RECORD / 546 + 1;
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
/// What a classic frame counts of what one tick writes: it takes a poll and a write of its own,
/// 10 us in all, in which 2 KiB and more are sealed.
pub const FRAME_COST: usize = 2048;
/// Bytes of the longest classic frame the old program sends: 15 characters of
/// 4 bytes each pad to 64.
pub const MAX_CLASSIC_FRAME: usize = 160;

/// From accepting a connection to the end of its first record (`PROTOCOL.md` §1.2).
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// From a record's first byte to its last (`PROTOCOL.md` §1.3).
pub const RECORD_DEADLINE: Duration = Duration::from_secs(30);
/// From a classic frame's first byte to its last (`PROTOCOL.md` §2).
pub const CLASSIC_FRAME_DEADLINE: Duration = Duration::from_secs(5);
/// Silence after which a connection takes a classic slot (`PROTOCOL.md` §2).
pub const CLASSIC_SILENCE: Duration = Duration::from_secs(1);
/// The default of [`Limits::ping_after`] (`PROTOCOL.md` §1.5).
pub const PING_AFTER: Duration = Duration::from_secs(30);
/// The default of [`Limits::dead_after`] (`PROTOCOL.md` §1.5).
pub const DEAD_AFTER: Duration = Duration::from_secs(90);
/// Least of [`Limits::ping_after`] that a user may set: TCP needs about a second to repeat
/// what was lost twice, and more PINGs would find nothing sooner.
pub const LEAST_PING: Duration = Duration::from_secs(1);
/// How many times [`Limits::ping_after`] is [`Limits::dead_after`] at least: the other side
/// gets a PING, and as much time to answer it.
pub const PINGS_UNTIL_DEAD: u32 = 2;
/// Largest [`Limits::dead_after`] that a user may set: Linux takes no more than 32,767 s
/// from [`keepalive`].
pub const MOST_DEAD: Duration = Duration::from_secs(12 * 3600);
/// How long a side that has sent everything still reads, for the other's end of stream
/// (`PROTOCOL.md` §1.3).
pub const CLOSING_DEADLINE: Duration = Duration::from_secs(5);
/// From the lookup to a connection, over all addresses of a name: in that time TCP repeats
/// a lost SYN three times.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// How long a tunnel uses the addresses of a name before it looks the name up again. Meanwhile
/// a name costs no connection a lookup.
pub const LOOKUP_AGAIN: Duration = Duration::from_secs(60);
/// The same for a name that could not be resolved: a resolver that does not answer takes about as
/// long itself.
pub const LOOKUP_RETRY: Duration = Duration::from_secs(5);
/// Names whose addresses a tunnel keeps; past it, those that were not asked for lately are
/// forgotten. A ring of keys may name a target for each.
pub const MOST_NAMES: usize = 1024;
/// How long the near end of a tunnel does not try again after its server could not be reached,
/// first and at most; each time it is twice as long. A program behind it that repeats at once
/// must not cost a connection attempt each time, and 5 s are short for a person.
pub const CONNECT_BACKOFF: Duration = Duration::from_millis(100);
/// See [`CONNECT_BACKOFF`].
pub const MOST_CONNECT_BACKOFF: Duration = Duration::from_secs(5);
/// How long a program that goes on trying waits before it tries again to reach its server, first
/// and at most; each time it is twice as long. The first is too short for a person to notice. The
/// last is long enough to cost almost nothing over a day without a server, and short enough for a
/// person to wait.
pub const RETRY_BACKOFF: Duration = Duration::from_millis(100);
/// See [`RETRY_BACKOFF`].
pub const MOST_RETRY_BACKOFF: Duration = Duration::from_secs(30);
/// The part of each such wait that is left to chance: many programs that have lost one server
/// come back one after the other.
pub const RETRY_JITTER: f64 = 0.5;
/// How often a full tunnel whose server is away looks for connections that their sources have
/// reset: one call to the system for each, so not in every turn.
pub const HELD_LOOK: Duration = Duration::from_millis(500);
/// When to connect again to a Unix socket whose queue is full: the system does not tell when it
/// has room.
pub const PATH_RETRY: Duration = Duration::from_millis(20);
/// How long an address waits for the one before it: RFC 8305 §5.
pub const CONNECT_STAGGER: Duration = Duration::from_millis(250);
/// Attempts at a time of a connection for a local, of which there are many: two, so that an address
/// that does not answer holds up the next one no longer than [`CONNECT_STAGGER`].
pub const LOCAL_ATTEMPTS: usize = 2;
/// Second attempts of all those connections together. The first is the one socket that a local
/// counts for; these count besides. Past it a connection has one attempt at a time.
pub const MOST_SECOND_ATTEMPTS: usize = 64;
/// How long an attempt has before it makes room for another address, where there may be no more
/// attempts: TCP repeats a lost SYN after 1 s. In [`CONNECT_DEADLINE`] ten addresses have a try.
pub const ATTEMPT_PATIENCE: Duration = Duration::from_secs(2);
/// Unanswered probes with which TCP itself ends the connection.
pub const KEEPALIVE_PROBES: u32 = 3;
/// How long a stopped program lets its peers finish: with [`STOP_GRACE`] less than the 10 s
/// after which container managers kill a program.
pub const STOP_DEADLINE: Duration = Duration::from_secs(5);
/// How long the ABORTs may then take to leave, after [`STOP_DEADLINE`].
pub const STOP_GRACE: Duration = Duration::from_secs(1);
/// A receiver above its high-water mark that accepts less than [`SLOW_SHARE`] in this time while
/// others wait is aborted as too slow. So is any receiver with queued data when memory is short.
pub const SLOW_WINDOW: Duration = Duration::from_secs(1);
/// The share that a receiver must take in each [`SLOW_WINDOW`] while others wait, in bytes: half a
/// megabit a second, which any line has today. Less is a trickle, which could hold up all
/// others for ever.
pub const SLOW_SHARE: usize = 64 * 1024;
/// If a tick comes this much after its time, the process was stopped or starved, and no receiver
/// is too slow for what it could not take meanwhile: much more than a tick takes.
pub const LATE: Duration = Duration::from_millis(250);
/// How often the receivers of a relay are looked at while some are congested: sixteen looks in
/// [`HELD_UP`].
pub const HELD_UP_SAMPLE: Duration = Duration::from_millis(25);
/// The most time that one look charges: after a pause of ours, only a part of it was the
/// receivers'. Less than [`HELD_UP_LEAST`], so that one look costs no peer its connection.
pub const HELD_UP_LOOK_MOST: Duration = Duration::from_millis(45);
/// A receiver is charged for holding up others from this part of the high-water mark on, because
/// the queues of several grow at the same time, and one of them is the first at the mark.
pub const BEHIND_PART: usize = 2;
/// In this time receivers may hold up others of a relay for [`HELD_UP`].
pub const HELD_UP_WINDOW: Duration = Duration::from_secs(2);
/// How long receivers may hold up others that would take more, all together, in each
/// [`HELD_UP_WINDOW`]: so others keep four fifths of their rate.
pub const HELD_UP: Duration = Duration::from_millis(400);
/// A receiver that held up others for less than this in the window is not dropped: two looks,
/// so that a short burst costs no peer its connection.
pub const HELD_UP_LEAST: Duration = Duration::from_millis(50);
/// While unfinished messages take more than half of [`Limits::max_assembling`], one that has
/// not grown by a full payload for this time is aborted: 16 KiB in ten seconds are a trickle.
pub const STALLED: Duration = Duration::from_secs(10);
/// When to look again at a peer whose deadline has passed while its bytes wait unread: so that
/// many such peers do not take the place of others whose deadline has passed.
pub const UNREAD_LOOK: Duration = Duration::from_millis(25);
/// How often stalled messages are looked for, if some of them may not be aborted yet.
pub const STALLED_LOOK: Duration = Duration::from_secs(1);
/// How long a listener rests when descriptors have run out and no connection makes room, so
/// that it does not spin on one that it cannot accept.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// For how long accepting must not fail before users are told that it works again: while
/// connections make room for each other, it fails and works by turns.
pub const ACCEPT_CALM: Duration = Duration::from_secs(5);

/// From accepting a request for figures to closing it: half of what a monitoring system waits
/// for them by default, so that one that hangs costs the next request no more than that.
pub const SCRAPE_DEADLINE: Duration = Duration::from_secs(5);
/// Most bytes of such a request, and of what follows it: no monitoring system sends as much.
pub const SCRAPE_REQUEST: u64 = 8192;
/// Figures that are younger serve another request, too: however many ask, the loop is asked ten
/// times a second, which costs it nothing.
pub const SCRAPE_FRESH: Duration = Duration::from_millis(100);

/// The silence after which TCP itself probes the other machine, and the time between two
/// probes, in whole seconds. With [`KEEPALIVE_PROBES`] they find a dead machine after
/// `dead_after` in classic, which has no PING, and no sooner in native.
pub fn keepalive(dead_after: Duration) -> (Duration, Duration) {
    let probing = dead_after / 3;
    let whole = |span: Duration| Duration::from_secs(span.as_secs_f64().ceil() as u64);
    (
        whole(dead_after - probing),
        whole(probing / KEEPALIVE_PROBES),
    )
}

/// The scratch that one tick reads into. 32 full records fill every lane, and still fit
/// the second-level cache.
pub const INPUT_SCRATCH: usize = 32 * MAX_RECORD;
/// The scratch that one round of sealing writes into: as much, for the same reason.
pub const OUTPUT_SCRATCH: usize = 32 * MAX_RECORD;
/// Bytes that one tick seals, or writes once more, however many peers wait; the rest of them come
/// first in the next tick. They are [`MOST_SHARE`] for each of eight peers: records that leave
/// together arrive together, in one read or a few, and fill the receiver's lanes too. A packed
/// message counts as the shortest record. As much again may go to sockets whose deadlines are
/// due. On loopback, where a write takes the receiver's work too, a tick with twice as much took
/// up to 17 ms (Zen 3).
pub const OUTPUT_TICK: usize = 8 * MOST_SHARE;
/// Least room in either scratch for one peer, unless less is left, however many peers
/// wait: four full records need few calls, and the other peers do not wait long. Also the
/// classic frames that one peer is sent in a tick.
pub const LEAST_SHARE: usize = 4 * MAX_RECORD;
/// Most room in either scratch for one peer, however few peers wait: 16 full records are
/// a whole set of lanes, where lanes go in sets. Also the most bytes that are kept when a
/// socket does not accept them.
pub const MOST_SHARE: usize = 16 * MAX_RECORD;

/// The share of each of `many` peers, at least one, in `room` bytes: whole records, so that
/// no share cuts a stream within a record.
pub fn share(room: usize, many: usize) -> usize {
    let records = room / many / MAX_RECORD;
    (records * MAX_RECORD)
        .clamp(LEAST_SHARE, MOST_SHARE)
        .min(room)
}

/// A peer counts as streaming if one read brings this much: a full record, whose opening and
/// sealing take longer than those of the short messages that would wait for it.
pub const STREAM_FROM: usize = MAX_RECORD;
/// A streaming peer counts as such until a read brings less than this: well below
/// [`STREAM_FROM`], so that one early read changes nothing.
pub const CHAT_BELOW: usize = 2048;

/// Unsent bytes that the system keeps of a connection that we made: as many as we seal at
/// a time, so that the other side always has some to read. On loopback, sending the rest
/// would cost the reader's CPU time.
pub const UNSENT: u32 = MOST_SHARE as u32;
/// Most bytes read from one local in one tick: as many as we seal at a time.
pub const LOCAL_BUDGET: usize = MOST_SHARE / MAX_RECORD * STREAM_MESSAGE;
/// Most bytes read from one local in one tick where each line is a message: what a
/// pipe holds by default.
pub const LINES_BUDGET: usize = 65_536;
/// Largest message made of a stream: one record, so that the receiver assembles nothing.
pub const STREAM_MESSAGE: usize = MAX_PAYLOAD;
/// The high-water mark of peers that a local feeds, at which the local is not read: enough
/// to keep a socket busy, and little enough, with one more read, to stay in cache.
pub const INPUT_HIGH_WATER: usize = 4 * STREAM_MESSAGE;
/// Longest line of a terminal or of classic input that becomes one message; a longer one
/// is cut, so that a file without newlines does not fill the memory.
pub const MAX_LINE: usize = 1 << 20;
/// The cost of an item in a queue, beyond its bytes: its node, its buffer's entry, the
/// allocator's part. It counts because short and empty messages queue, too.
pub const QUEUED_ITEM: usize = 128;
/// How many items one tick of a relay may queue: the chunks that it hands on times their
/// receivers. Lines of a local likewise.
///
/// This and the next bounds were set together: a tick shall end within 20 ms whatever peers do.
/// With a server that no other program interrupts, no tick took longer than 9 ms, but for one of
/// 17, when two peers sent empty messages to 1,000 receivers as fast as they could, and 8 ms when
/// 15,000 peers left at once (Zen 3; `docs/SECURITY.md` says how that was measured).
pub const FAN_OUT: usize = 1 << 14;
/// Most peers read in one tick. A read that brings nothing takes no room, and costs a system
/// call.
pub const PEERS_READ: usize = 256;
/// Most peers written to in one tick: on loopback a write takes 9 us, because it does the
/// receiver's work, too. Also the deadlines that one tick handles besides, because each may write.
pub const PEERS_WRITTEN: usize = 256;
/// Most locals of pairs read in one tick, and most written to, as of peers.
pub const LOCALS_READ: usize = PEERS_READ;
/// See [`LOCALS_READ`].
pub const LOCALS_WRITTEN: usize = PEERS_WRITTEN;
/// Most locals of pairs closed in one tick, as of peers.
pub const LOCALS_CLOSED: usize = PEERS_CLOSED;
/// How long what came before a failure of one side of a pair has to leave to the other side:
/// the program behind it gets a reset by then, and a machine that takes nothing for so long will
/// hardly take the rest.
pub const LINGER: Duration = Duration::from_secs(5);
/// As [`LINGER`], for a local that had taken the end of its stream before: the system has all, but
/// cannot be asked whether it has sent it. A reset of a plain connection would drop what is unsent at
/// once; a program that waits for that reset should not wait long.
pub const LINGER_BEHIND_END: Duration = Duration::from_millis(250);
/// Most locals that may [linger](LINGER) at once: each has a descriptor, though its peer is gone.
/// Past it one of them is reset: the oldest that had its end of stream, or else the oldest. The rest is for peers that leave all at once.
pub const MOST_LINGERING: usize = 256;
/// Most peers closed in one tick.
pub const PEERS_CLOSED: usize = 256;
/// How many items of queues that were dropped one tick frees: more than it may queue. So many
/// take 4 ms (Zen 4). A thousand receivers that leave may have had two million.
pub const FREED_ITEMS: usize = 8 * FAN_OUT;
/// How many bytes of buffers that were dropped one tick frees, because plaintext is erased: so
/// many take 2 ms. Peers that leave at once may have had [`Limits::max_assembling`].
pub const FREED_BYTES: usize = 16 << 20;
/// Queue items that the store keeps room for when it is empty, so that a usual load
/// allocates none.
pub const KEPT_ITEMS: usize = 1 << 16;
/// Buffers up to this size have the exact size and are not kept: a short message must not
/// hold a long buffer. Shorter pieces of a stream are copied together, which costs less
/// than an item each.
pub const SHORT: usize = 2048;
/// Buffers that are needed all the time, for partial records and unsent bytes: for more
/// than how many bytes, their size, and how many of them are kept for reuse. 4, 8 and
/// 8 MiB.
pub const KEPT_BUFFERS: [(usize, usize, usize); 3] = [
    (SHORT, MAX_RECORD, 256),
    // A record and a little more is what a full relay keeps of each peer: of the exact size.
    (2 * MAX_RECORD, LEAST_SHARE, 128),
    // Less than half of it is rare, and gets a buffer of the exact size.
    (MOST_SHARE / 2, MOST_SHARE, 32),
];
/// Bytes of a message that a terminal gets at a time: a screenful. Marked and escaped,
/// they may become sixty times as many.
pub const SCREEN_PIECE: usize = 4096;
/// Slices that one write to a local gathers; Linux takes up to 1024.
pub const GATHER: usize = 64;

/// Least and most connections that may be in the handshake at once, by default and if a user
/// sets it: fewer would make clients wait for each other, and more take longer to prove
/// themselves than [`HANDSHAKE_DEADLINE`].
pub const HANDSHAKES: RangeInclusive<usize> = 16..=16_384;
/// The part of the descriptors that the handshake may take by default. The rest are for
/// peers.
pub const HANDSHAKES_PART: usize = 5;
/// The part of [`Limits::max_handshakes`] for connections whose hello holds: one that has
/// come that far is not shut out by others that send nothing.
pub const RESERVED_PART: usize = 4;
/// Hellos that one tick answers, with two multiplications on the curve each: 1.3 ms in all
/// (Zen 4), for which open peers wait.
pub const ANSWERS: usize = 16;
/// Hellos, and first frames of classic, that are remembered, because a recording of them
/// must not cost as much as the first: 4 MiB for each of the two. A flood of new ones takes a
/// holder of the keys.
pub const REMEMBERED: usize = 65_536;

/// Most of [`handshake_grace`]: more than a round trip around the world.
const MOST_GRACE: Duration = Duration::from_millis(500);
/// In this time new connections get through the system's queue of [`MOST_ACCEPT_QUEUE`], while
/// a flood fills it: clients repeat their SYN after 1 s, and 3 s, and many give up then.
const QUEUE_PASSED: Duration = Duration::from_millis(1500);

/// How long a connection has at each step of its handshake before it may have to make room for
/// another. A flood that holds all `slots` that need no hello frees them after this time, so with
/// few slots it is short enough for the whole queue to pass in `QUEUE_PASSED`.
pub fn handshake_grace(slots: usize) -> Duration {
    let open = slots - slots / RESERVED_PART;
    let passed = QUEUE_PASSED.mul_f64(open as f64 / MOST_ACCEPT_QUEUE as f64);
    passed.min(MOST_GRACE)
}
/// Most connections accepted from one listener in one turn of the loop, so that a flood of
/// them does not starve the peers.
pub const ACCEPT_BUDGET: usize = 16;
/// Connections that the system keeps until we accept them, before
/// [`Limits::accept_queue`] is set: as many as its own limit allows.
pub const LISTEN_BACKLOG: i32 = i32::MAX;
/// Most events of one poll: more than the descriptors that a process usually may have,
/// because deadlines may be checked only when all bytes that came are known. Unused
/// entries are never touched, so they cost no memory.
pub const EVENTS: usize = 1 << 16;
/// Upper bound of the tick histogram.
pub const LONGEST_TICK: Duration = Duration::from_secs(60);
/// Most bytes that may wait for a peer that has proved nothing, and only listens: 64 of them
/// must not make memory short.
pub const LISTENER_QUEUE: usize = 1 << 20;
/// Most silent or unproved connections in a classic slot at once (`PROTOCOL.md` §2).
pub const MAX_CLASSIC_UNPROVED: usize = 64;

/// Most proved classic peers that a server accepts. Each message costs two encryptions and two
/// tags for every 15 bytes and each of them: 256 are as much as a thousand native peers.
pub const MAX_CLASSIC: usize = 256;
/// How long a proved classic peer may say nothing before it has to make room for a newer one.
/// The format has no PING, so silence alone does not end it (`PROTOCOL.md` §2).
pub const CLASSIC_IDLE: Duration = Duration::from_secs(60);

/// Largest message limit that a user may set: offsets into a message, and into the bytes
/// that are read behind it, fit 32 bits.
pub const MAX_MESSAGE: usize = 1 << 30;

/// Most proved peers that a user may allow: as many as the descriptors that Linux lets a
/// process have by default.
pub const MAX_PEERS: usize = 1 << 20;
/// Bytes of the receive buffer of an accepted socket that has no more than its floor, as the
/// kernel counts them: two full records.
pub const SOCKET_RECEIVE: usize = 32 << 10;
/// Bytes of its send buffer, likewise.
pub const SOCKET_SEND: usize = 32 << 10;
/// What a socket may hold above a buffer that was set: the kernel takes one segment more, and
/// a segment has up to 64 KiB. A listener advertises that much before we can set a buffer.
pub const SOCKET_EXCESS: usize = 64 << 10;
/// Largest buffer that we set, for each direction: enough for 10 Gbit/s at 0.8 ms.
pub const SOCKET_MOST: usize = 1 << 20;
/// A socket may take this part of the budget that is left. So a few peers get as much as the
/// kernel would give, and many leave something for the next.
pub const SOCKET_PART: usize = 8;
/// Less than this beyond the floor is not worth a call, because [`SOCKET_EXCESS`] is part of
/// it.
pub const SOCKET_STEP: usize = 2 * SOCKET_EXCESS;
/// The kernel's objects of a connection beside its buffers: 8.1 KB of slab for both ends, with
/// epoll, on Linux 6.18.
pub const SOCKET_OBJECTS: usize = 4 << 10;
/// What we keep of a peer beside its buffers: 1.7 KB were measured (`docs/PERFORMANCE.md`).
pub const PEER_STATE: usize = 2 << 10;
/// What we keep of a plain connection beside its buffers: its slots and lists.
pub const LOCAL_STATE: usize = 1 << 10;
/// Most that the process takes without peers: 3.4 MB were measured, what is
/// [remembered](REMEMBERED) comes to it, and tables grow.
pub const PROGRAM: usize = 16 << 20;
/// Bytes of an item in a queue, as the store keeps it.
pub const ITEM_BYTES: usize = 40;
/// Longest path of a Unix socket, without the zero behind it (unix(7)).
pub const LONGEST_SOCKET_PATH: usize = 107;
/// Descriptors that the program itself needs at most: the poll, signals, locals, names.
pub const OWN_DESCRIPTORS: usize = 32;

/// Largest bound on memory that a user may set: no machine has more, and sums of a few
/// of them fit 64 bits.
pub const MAX_MEMORY: usize = 1 << 40;

/// The bounds that a user may set.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Most bytes of a received message; at least 16 MiB unless the user sets less
    /// (`PROTOCOL.md` §1.3).
    pub max_message: usize,
    /// Most bytes of unfinished messages over all peers; past it the peer whose message has
    /// made no progress for the longest time is aborted. A quarter of that, in addition, for
    /// messages that wait for their turn.
    pub max_assembling: usize,
    /// The high-water mark: with this many bytes queued for one receiver, the peers that
    /// feed it are not read. At least a whole message, so that two programs that both
    /// write one before they read never wait for each other.
    pub max_queue: usize,
    /// Most bytes queued for all receivers. Past it memory is short: the high-water mark
    /// falls to 64 KiB, and a receiver that does not take its share is aborted. At
    /// twice that much, no peer is read that adds to a queue.
    pub max_queued: usize,
    /// Most messages in one record that the endpoint sends; 1: it packs none. For tests and
    /// benches.
    #[doc(hidden)]
    pub max_packed: usize,
    /// Most connections at once that have proved nothing.
    pub max_handshakes: usize,
    /// Most proved peers.
    pub max_peers: usize,
    /// A proved side that has sent nothing for this time sends PING (`PROTOCOL.md` §1.5).
    pub ping_after: Duration,
    /// The silence that ends a connection while we read (`PROTOCOL.md` §1.5): at least
    /// [`PINGS_UNTIL_DEAD`] times `ping_after`.
    pub dead_after: Duration,
    /// Most connections that the system keeps until we accept them.
    pub accept_queue: usize,
    /// What the buffers of all accepted sockets may take in the kernel, beyond
    /// [`SOCKET_RECEIVE`] and [`SOCKET_SEND`] for each.
    pub socket_buffers: usize,
    /// How long a program that ends with its peers waits for one that makes no progress;
    /// PING and PONG are no progress. `None`: for ever.
    pub max_idle: Option<Duration>,
}

impl Limits {
    /// The memory that a whole message of `max_message` bytes takes: the least value of
    /// [`max_assembling`](Self::max_assembling) and [`max_queue`](Self::max_queue).
    pub const fn whole(max_message: usize) -> usize {
        max_message.div_ceil(MAX_PAYLOAD) * (MAX_RECORD + QUEUED_ITEM)
    }
}

/// The default of the largest message (`PROTOCOL.md` §1.3).
pub(crate) const USUAL_MESSAGE: usize = 16 << 20;
/// The default of how long a peer may make no progress: longer than a backup takes before
/// its first byte, and still the same night.
const USUAL_IDLE: Duration = Duration::from_secs(3600);
/// The default of what may be queued for one receiver: such a message.
const USUAL_QUEUE: usize = 17 << 20;

/// Connections that have proved nothing, where a program that embeds the library sets no limit.
/// Each may hold one record's buffer: 16 MiB in all.
const USUAL_HANDSHAKES: usize = 1024;
/// What unfinished messages, and queues, may take there: sixteen of the largest messages.
const USUAL_MESSAGES: usize = 16 * USUAL_MESSAGE;
/// What the buffers of sockets may take there: 50 peers with all that the kernel would give.
const USUAL_BUFFERS: usize = 512 << 20;
/// Most connections that wait to be accepted, unless memory allows fewer: as many as Linux
/// allows by default.
pub(crate) const MOST_ACCEPT_QUEUE: usize = 4096;

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: USUAL_MESSAGE,
            max_assembling: USUAL_MESSAGES,
            max_queue: USUAL_QUEUE,
            max_queued: USUAL_MESSAGES,
            max_packed: MAX_PACKED,
            max_handshakes: USUAL_HANDSHAKES,
            max_peers: MAX_PEERS,
            ping_after: PING_AFTER,
            dead_after: DEAD_AFTER,
            accept_queue: MOST_ACCEPT_QUEUE,
            socket_buffers: USUAL_BUFFERS,
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
    assert!(MAX_RECORD + CHAT_BELOW <= KEPT_BUFFERS[1].0);
    assert!(HELD_UP_LOOK_MOST.as_millis() < HELD_UP_LEAST.as_millis());
    assert!(STREAM_MESSAGE <= MAX_PAYLOAD);
    assert!(Limits::whole(USUAL_MESSAGE) <= USUAL_QUEUE);
    assert!(
        INPUT_SCRATCH / MIN_RECORD < 1 << EPOCH_BITS
            && OUTPUT_SCRATCH / MIN_RECORD < 1 << EPOCH_BITS,
        "a batch crosses at most one epoch"
    );
    assert!(PING_AFTER.as_secs() * PINGS_UNTIL_DEAD as u64 <= DEAD_AFTER.as_secs());
    assert!(PING_AFTER.as_secs() >= LEAST_PING.as_secs());
    assert!(
        MOST_DEAD.as_secs() * 2 / 3 <= 32_767,
        "the longest time that Linux takes"
    );
};
