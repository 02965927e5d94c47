//! One ceiling of memory, and the bounds that follow from it.
//!
//! [`Ceiling::of`] shares the ceiling among [parts](Part): everything that peers can make the
//! process keep, and the kernel for its sockets. What a user asks for wins over a derived
//! share. It looks at nothing itself: `net::machine` describes the machine, and the program
//! prints the parts. Read next: [`Limits`], which it makes.

use super::{
    BACKLOG_PART, CHAT_BELOW, FAN_OUT, HANDSHAKES, HANDSHAKES_PART, ITEM_BYTES, KEPT_BUFFERS,
    LOCAL_STATE, Limits, MAX_CLASSIC_UNPROVED, MAX_PEERS, MAX_RECORD, MOST_ACCEPT_QUEUE,
    MOST_LINGERING, MOST_SECOND_ATTEMPTS, OWN_DESCRIPTORS, PEER_STATE, PROGRAM, SOCKET_EXCESS,
    SOCKET_OBJECTS, SOCKET_RECEIVE, SOCKET_SEND, USUAL_QUEUE,
};

/// The ceiling by default is half of the machine's memory, and at least this: below it, a
/// message of 16 MiB does not fit beside the rest.
const LEAST_MEMORY: usize = 256 << 20;
/// It is at most this by default, which has room for 512 MiB of unfinished messages and for as many
/// peers as 20,000 descriptors allow.
const MOST_MEMORY: usize = 8 << 30;
/// A ceiling that must grow grows in steps of this size: a number that people remember.
const STEP: usize = 64 << 20;
/// Least connections that wait to be accepted: a burst of clients must not have to repeat
/// their SYN, which takes them a second.
const LEAST_ACCEPT_QUEUE: usize = 64;

// Which parts of the ceiling are for what. They were chosen so that 320 MiB hold messages of
// 16 MiB and 500 peers, and 8 GiB as many peers as 20,000 descriptors. The rest is for peers.
/// Unfinished messages have this part, and so has what may be queued before memory is short.
const MESSAGES_PART: usize = 16;
/// Connections in the handshake.
const HANDSHAKES_MEMORY_PART: usize = 16;
/// Connections that wait to be accepted.
const ACCEPT_QUEUE_PART: usize = 16;
/// Socket buffers beyond the floor of each.
const BUFFERS_PART: usize = 8;
/// Peers have at least this part, unless there are fewer.
const PEERS_PART: usize = 8;

/// What TCP takes for a connection on this machine, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tcp {
    /// The receive buffer of a new connection.
    pub receive_first: usize,
    /// The largest receive buffer that the kernel chooses by itself.
    pub receive_tuned: usize,
    /// The largest send buffer that the kernel chooses by itself.
    pub send_tuned: usize,
    /// The largest receive buffer that a program may set.
    pub receive_set: usize,
    /// The largest send buffer that a program may set.
    pub send_set: usize,
}

impl Tcp {
    /// What a connection takes at most whose buffers the kernel chooses.
    pub fn tuned(&self) -> usize {
        self.receive_tuned + self.send_tuned + 2 * SOCKET_EXCESS
    }
}

/// What this machine has.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// Bytes of memory that the process may use.
    pub memory: usize,
    /// Descriptors that the process may have.
    pub descriptors: usize,
    /// Its TCP.
    pub tcp: Tcp,
}

/// What a user asks for. `None` leaves it to the ceiling.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked {
    /// The one peer is dialled; nobody connects.
    pub client: bool,
    /// An end of a tunnel: each peer has a plain connection, too. A client has many peers then.
    pub tunnel: bool,
    /// Peers may speak the classic format.
    pub classic: bool,
    /// The ceiling.
    pub max_memory: Option<usize>,
    /// See [`Limits::max_message`].
    pub max_message: Option<usize>,
    /// See [`Limits::max_assembling`].
    pub max_assembling: Option<usize>,
    /// See [`Limits::max_queue`].
    pub max_queue: Option<usize>,
    /// See [`Limits::max_peers`].
    pub max_peers: Option<usize>,
    /// See [`Limits::max_handshakes`].
    pub max_handshakes: Option<usize>,
}

/// A part of the ceiling: so many things, that take so much each.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// One word.
    pub name: &'static str,
    /// What it is for, and the flag that changes it.
    pub what: &'static str,
    /// How many of them there may be.
    pub count: usize,
    /// Most bytes of each.
    pub each: usize,
}

impl Part {
    /// Most bytes of all of them.
    pub fn bytes(&self) -> usize {
        self.count.saturating_mul(self.each)
    }
}

/// A ceiling, its parts, and the bounds that keep them.
#[derive(Debug)]
pub struct Ceiling {
    /// The ceiling.
    pub max_memory: usize,
    /// What it is made of. Nothing else that a peer causes takes memory.
    pub parts: Vec<Part>,
    /// The bounds.
    pub limits: Limits,
}

/// What a connection may keep in the process: a record that has not arrived whole.
const PARTIAL: usize = MAX_RECORD;
/// What a socket with the least buffers takes in the kernel for what it receives.
const RECEIVES: usize = SOCKET_OBJECTS + SOCKET_RECEIVE + SOCKET_EXCESS;
/// What it takes for what it sends: the kernel takes one more write than the buffer has room
/// for, of a record, and notes some 2 KiB on the segments of it.
const SENDS: usize = SOCKET_SEND + MAX_RECORD + 2048;
/// What the kernel keeps at most for a socket with the least buffers.
pub const SOCKET: usize = RECEIVES + SENDS;
/// A proved peer. In a relay also a sealed record that it has not accepted, because a relay
/// keeps a message once and seals it for each receiver; and what is read of it while backlogs
/// are full: the rest of a record, and a little more.
const PEER: usize = PEER_STATE + PARTIAL + 2 * MAX_RECORD + CHAT_BELOW + SOCKET;
/// A connection in the handshake. It is sent no more than a hello.
const HANDSHAKE: usize = PEER_STATE + PARTIAL + RECEIVES;

impl Ceiling {
    /// The bounds that follow from what a user asks for. A ceiling that the user asked for may
    /// be too small for the rest: ask whether it [fits](Self::fits). Another one is raised.
    pub fn of(asked: &Asked, machine: &Machine) -> Self {
        let usual = (machine.memory / 2).clamp(LEAST_MEMORY, MOST_MEMORY);
        let mut ceiling = Self::with(asked.max_memory.unwrap_or(usual), asked, machine);
        if asked.max_memory.is_none() && !ceiling.fits() {
            ceiling.max_memory = ceiling.sum().next_multiple_of(STEP);
        }
        ceiling
    }

    /// A ceiling above that of `self` that is enough for what a user asks for.
    pub fn enough(&self, asked: &Asked, machine: &Machine) -> usize {
        let mut max_memory = self.max_memory.next_multiple_of(STEP);
        loop {
            let sum = Self::with(max_memory, asked, machine).sum();
            if sum <= max_memory {
                return max_memory;
            }
            // Parts that follow from the ceiling grow with it, but slower than it.
            max_memory = sum.next_multiple_of(STEP);
        }
    }

    /// Whether all parts together fit the ceiling.
    pub fn fits(&self) -> bool {
        self.sum() <= self.max_memory
    }

    /// All parts together.
    pub fn sum(&self) -> usize {
        let bytes = self.parts.iter().map(Part::bytes);
        bytes.fold(0, usize::saturating_add)
    }

    fn with(max_memory: usize, asked: &Asked, machine: &Machine) -> Self {
        let mut limits = Limits::default();
        limits.max_message = asked.max_message.unwrap_or(limits.max_message);
        let whole = Limits::whole(limits.max_message);
        let share = (max_memory / MESSAGES_PART).max(whole);
        limits.max_assembling = asked.max_assembling.unwrap_or(share);
        limits.max_queue = asked.max_queue.unwrap_or(USUAL_QUEUE.min(share).max(whole));
        limits.max_queued = share.max(2 * limits.max_queue);
        let mut ceiling = Self {
            max_memory,
            parts: messages(&limits),
            limits,
        };
        match asked.client && !asked.tunnel {
            true => ceiling.one_peer(machine),
            false => ceiling.many_peers(asked, machine),
        }
        ceiling
    }

    /// The one peer of a client. The kernel may choose its buffers.
    fn one_peer(&mut self, machine: &Machine) {
        let each = PEER + machine.tcp.tuned();
        self.add("peers", "the server, with its socket", 1, each);
    }

    fn many_peers(&mut self, asked: &Asked, machine: &Machine) {
        let max_memory = self.max_memory;
        let waiting = SOCKET_OBJECTS + machine.tcp.receive_first + SOCKET_EXCESS;
        let accept_queue =
            (max_memory / ACCEPT_QUEUE_PART / waiting).clamp(LEAST_ACCEPT_QUEUE, MOST_ACCEPT_QUEUE);
        let what = "connections that the system holds until they are accepted";
        self.add("accept-queue", what, accept_queue, waiting);

        let handshakes = asked.max_handshakes.filter(|_| !asked.client);
        let handshakes = handshakes.unwrap_or_else(|| {
            if asked.client {
                // Nobody connects to it that must prove anything.
                return 0;
            }
            let most = machine.descriptors / HANDSHAKES_PART;
            let most = most.min(max_memory / HANDSHAKES_MEMORY_PART / HANDSHAKE);
            most.clamp(*HANDSHAKES.start(), *HANDSHAKES.end())
        });
        if !asked.client {
            let what = "connections that have proved nothing, with sockets; --max-handshakes";
            self.add("handshakes", what, handshakes, HANDSHAKE);
            self.limits.max_handshakes = handshakes;
        }
        if asked.classic {
            let what = "silent or unproved connections of --classic, with sockets";
            self.add("listeners", what, MAX_CLASSIC_UNPROVED, PEER);
        }
        let buffers = max_memory / BUFFERS_PART;
        let what = "socket buffers beyond the least, for peers that stream";
        self.add("buffers", what, 1, buffers);

        let mut own = OWN_DESCRIPTORS + handshakes;
        let (mut each, mut sockets) = (PEER, 1);
        if asked.tunnel {
            let what = "plain connections whose peer has failed, until they are reset";
            self.add("lingering", what, MOST_LINGERING, LOCAL_STATE + SOCKET);
            let what = "further addresses of a server or target that are tried at the same time";
            self.add("attempts", what, MOST_SECOND_ATTEMPTS, SOCKET_OBJECTS);
            own += MOST_LINGERING + MOST_SECOND_ATTEMPTS;
            each += LOCAL_STATE + SOCKET;
            sockets = 2;
        }
        let peers = asked.max_peers.unwrap_or_else(|| {
            let descriptors = machine.descriptors.saturating_sub(own) / sockets;
            let rest = max_memory.saturating_sub(self.sum());
            let room = rest.max(max_memory / PEERS_PART) / each;
            room.min(descriptors).clamp(1, MAX_PEERS)
        });
        self.add("peers", "peers, with sockets; --max-peers", peers, each);
        self.limits.accept_queue = accept_queue;
        self.limits.socket_buffers = buffers;
        self.limits.max_peers = peers;
    }

    fn add(&mut self, name: &'static str, what: &'static str, count: usize, each: usize) {
        self.parts.push(Part {
            name,
            what,
            count,
            each,
        });
    }
}

/// The parts that do not depend on how many peers there are.
fn messages(limits: &Limits) -> Vec<Part> {
    let kept = KEPT_BUFFERS
        .iter()
        .map(|&(_, size, most)| size * most)
        .sum();
    let parts = [
        ("program", "the program, without peers", PROGRAM),
        ("pool", "buffers that are kept for reuse", kept),
        (
            "tick",
            "what one tick of a relay may queue past the bound",
            FAN_OUT * ITEM_BYTES,
        ),
        (
            "unfinished",
            "messages that have not arrived whole; --max-assembling",
            limits.max_assembling,
        ),
        (
            "packed",
            "packed messages that wait for their turn; a quarter of --max-assembling",
            2 * limits.max_assembling / BACKLOG_PART,
        ),
        (
            "queues",
            "what waits for receivers; at half of it memory is short; --max-queue",
            2 * limits.max_queued,
        ),
    ];
    parts
        .map(|(name, what, each)| Part {
            name,
            what,
            count: 1,
            each,
        })
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine = Machine {
        memory: 16 << 30,
        descriptors: 20_000,
        tcp: Tcp {
            receive_first: 128 << 10,
            receive_tuned: 6 << 20,
            send_tuned: 4 << 20,
            receive_set: 416 << 10,
            send_set: 416 << 10,
        },
    };

    fn server(max_memory: usize) -> Asked {
        Asked {
            max_memory: Some(max_memory),
            ..Asked::default()
        }
    }

    /// Goal: every ceiling that is large enough is kept, and used: what is left would hold no
    /// further peer, unless descriptors bound them. Method: from the least on, to 64 GiB.
    #[test]
    fn parts_fit_and_use_the_ceiling() {
        for megabytes in [320, 512, 1000, 2048, 4096, 16_384, 65_536] {
            let ceiling = Ceiling::of(&server(megabytes << 20), &MACHINE);
            assert!(ceiling.fits(), "{megabytes}: {ceiling:?}");
            let limits = &ceiling.limits;
            let descriptors = limits.max_peers + limits.max_handshakes + OWN_DESCRIPTORS;
            let full = ceiling.max_memory - ceiling.sum() < PEER;
            assert!(full || descriptors == MACHINE.descriptors, "{ceiling:?}");
            assert!(descriptors <= MACHINE.descriptors);
            assert!(limits.max_assembling >= Limits::whole(limits.max_message));
            assert!(limits.max_queued >= 2 * limits.max_queue);
        }
    }

    /// Goal: the default is half of the memory within its range, and then fits. Method:
    /// machines of all sizes.
    #[test]
    fn the_default_follows_the_machine() {
        for (memory, wanted) in [(0, 256), (1 << 30, 512), (6 << 30, 3072), (64 << 30, 8192)] {
            let machine = Machine { memory, ..MACHINE };
            for client in [false, true] {
                let asked = Asked {
                    client,
                    ..Asked::default()
                };
                let ceiling = Ceiling::of(&asked, &machine);
                assert_eq!(ceiling.max_memory >> 20, wanted, "{memory}, {client}");
                assert!(ceiling.fits(), "{memory}: {ceiling:?}");
            }
        }
    }

    /// Goal: an end of a tunnel has memory and descriptors for two sockets of each connection, and
    /// a near end none for strangers. Method: both ends; little memory, and little else.
    #[test]
    fn a_tunnel_counts_both_sockets() {
        for client in [false, true] {
            for megabytes in [512, 16_384] {
                let asked = Asked {
                    client,
                    tunnel: true,
                    ..server(megabytes << 20)
                };
                let ceiling = Ceiling::of(&asked, &MACHINE);
                assert!(ceiling.fits(), "{ceiling:?}");
                let limits = &ceiling.limits;
                let strangers = if client { 0 } else { limits.max_handshakes };
                let own = strangers + OWN_DESCRIPTORS + MOST_LINGERING + MOST_SECOND_ATTEMPTS;
                let descriptors = 2 * limits.max_peers + own;
                assert!(descriptors <= MACHINE.descriptors, "{ceiling:?}");
                let full = ceiling.max_memory - ceiling.sum() < 2 * PEER;
                assert!(full || descriptors + 2 > MACHINE.descriptors, "{ceiling:?}");
            }
        }
    }

    /// Goal: what the user asks for wins. It raises a ceiling that the user did not ask for,
    /// and does not fit one that is too small; that one says what is enough. Method: many peers
    /// and large messages.
    #[test]
    fn what_is_asked_for_wins() {
        let many = Asked {
            max_peers: Some(50_000),
            max_handshakes: Some(3000),
            max_message: Some(1 << 30),
            ..Asked::default()
        };
        let raised = Ceiling::of(&many, &MACHINE);
        assert!(raised.fits() && raised.max_memory > MOST_MEMORY);
        assert_eq!(raised.limits.max_peers, 50_000);
        assert_eq!(raised.limits.max_handshakes, 3000);
        let strict = |max_memory| Asked {
            max_memory: Some(max_memory),
            ..many
        };
        let small = Ceiling::of(&strict(MOST_MEMORY), &MACHINE);
        assert!(!small.fits());
        let enough = small.enough(&many, &MACHINE);
        assert!(Ceiling::of(&strict(enough), &MACHINE).fits());
        assert!(!Ceiling::of(&strict(enough - 2 * STEP), &MACHINE).fits());
    }
}
