//! How much the kernel may keep for each accepted socket, so that all of them together stay
//! within a budget, whatever peers do.
//!
//! Every socket has a floor, which the ceiling of memory counts with the peer. Beyond the
//! floor it takes a part of what is left: so the first few sockets are left to the kernel, which
//! chooses large buffers by itself, the next have buffers of a size that we set, and the rest
//! have the floor. A socket with little gets more later, when others have closed. Read next:
//! [`super::stream`], and [`crate::limits::ceiling`] for the budget.

use socket2::SockRef;

use crate::limits::ceiling::Tcp;
use crate::limits::{
    SOCKET_EXCESS, SOCKET_MOST, SOCKET_PART, SOCKET_RECEIVE, SOCKET_SEND, SOCKET_STEP,
};

/// How large the two buffers of a socket are, as the kernel counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) receive: usize,
    pub(super) send: usize,
}

impl Sizes {
    pub(super) const FLOOR: Self = Self {
        receive: SOCKET_RECEIVE,
        send: SOCKET_SEND,
    };

    /// Sets what the kernel may keep for `socket`. From then on it chooses no sizes itself.
    ///
    /// Fails silently: a socket that is gone keeps nothing.
    pub(super) fn set(self, socket: &SockRef<'_>) {
        // The kernel doubles them, because it counts its own overhead, too.
        let _ = socket.set_recv_buffer_size(self.receive / 2);
        let _ = socket.set_send_buffer_size(self.send / 2);
    }

    /// What a socket with these may take beyond the floor. A write of more than a record may
    /// exceed the send buffer by a segment; with the floor no write is longer.
    fn extra(self) -> usize {
        let more = self.receive + self.send - SOCKET_RECEIVE - SOCKET_SEND;
        if more > 0 { more + SOCKET_EXCESS } else { 0 }
    }
}

/// What one socket has taken out of the budget.
#[derive(Debug)]
pub(super) struct Allowance {
    extra: usize,
    /// `None`: the kernel chooses.
    pub(super) sizes: Option<Sizes>,
}

impl Allowance {
    /// That of a socket that counts elsewhere: the kernel chooses.
    pub(super) const ELSEWHERE: Self = Self {
        extra: 0,
        sizes: None,
    };
}

/// The budget of all accepted sockets.
///
/// Invariant: `left` and the `extra` of all allowances are the budget.
#[derive(Debug)]
pub(super) struct Buffers {
    left: usize,
    tcp: Tcp,
}

impl Buffers {
    pub(super) fn new(budget: usize, tcp: Tcp) -> Self {
        Self { left: budget, tcp }
    }

    /// What a new socket may have.
    pub(super) fn take(&mut self) -> Allowance {
        let tuned = self.tcp.tuned();
        let (extra, sizes) = match self.share() {
            share if share >= tuned => (tuned, None),
            share => {
                let sizes = self.sizes(share);
                (sizes.extra(), Some(sizes))
            }
        };
        self.left -= extra;
        Allowance { extra, sizes }
    }

    /// The larger sizes of a socket that may have at least twice as much as it has.
    pub(super) fn raise(&mut self, allowance: &mut Allowance) -> Option<Sizes> {
        let before = allowance.sizes?;
        if self.share() < SOCKET_STEP.max(2 * allowance.extra) {
            return None;
        }
        let sizes = self.sizes(self.share());
        if sizes == before {
            return None;
        }
        self.left -= sizes.extra() - allowance.extra;
        *allowance = Allowance {
            extra: sizes.extra(),
            sizes: Some(sizes),
        };
        Some(sizes)
    }

    pub(super) fn give_back(&mut self, allowance: &Allowance) {
        self.left += allowance.extra;
    }

    fn share(&self) -> usize {
        self.left / SOCKET_PART
    }

    /// Buffers that take at most `share` beyond the floor, half of it for each direction.
    fn sizes(&self, share: usize) -> Sizes {
        if share < SOCKET_STEP {
            return Sizes::FLOOR;
        }
        let half = (share - SOCKET_EXCESS) / 2;
        let most = |floor: usize, set: usize| (floor + half).min(SOCKET_MOST).min(set).max(floor);
        Sizes {
            receive: most(SOCKET_RECEIVE, self.tcp.receive_set),
            send: most(SOCKET_SEND, self.tcp.send_set),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const BUDGET: usize = 512 << 20;

    fn buffers() -> Buffers {
        let tcp = Tcp {
            receive_first: 128 << 10,
            receive_tuned: 6 << 20,
            send_tuned: 4 << 20,
            receive_set: 416 << 10,
            send_set: 8 << 20,
        };
        Buffers::new(BUDGET, tcp)
    }

    fn taken(allowances: &[Allowance]) -> usize {
        allowances.iter().map(|allowance| allowance.extra).sum()
    }

    /// Goal: however many sockets there are, together they take no more than the budget; the
    /// first are left to the kernel, the last have the floor, and none has more than one before
    /// it. All of it comes back. Method: five thousand sockets.
    #[test]
    fn the_budget_is_kept() {
        let mut buffers = buffers();
        let all: Vec<_> = (0..5000).map(|_| buffers.take()).collect();
        assert_eq!(taken(&all) + buffers.left, BUDGET);
        assert!(all.iter().take(20).all(|one| one.sizes.is_none()));
        assert_eq!(all[4999].sizes, Some(Sizes::FLOOR));
        assert!(all.windows(2).all(|pair| pair[0].extra >= pair[1].extra));
        let sizes = all.iter().filter_map(|one| one.sizes);
        assert!(sizes.clone().all(|one| one.receive <= 416 << 10));
        assert!(sizes.clone().any(|one| one.send == SOCKET_MOST));
        for allowance in &all {
            buffers.give_back(allowance);
        }
        assert_eq!(buffers.left, BUDGET);
    }

    /// Goal: a socket that came late gets more when the others have left, and the sum is kept.
    /// Method: the last of five thousand; then raise it until nothing changes.
    #[test]
    fn a_socket_that_stays_gets_more() {
        let mut buffers = buffers();
        let mut all: Vec<_> = (0..5000).map(|_| buffers.take()).collect();
        let mut last = all.pop().unwrap();
        assert_eq!(buffers.raise(&mut last), None, "nothing is left");
        for allowance in &all {
            buffers.give_back(allowance);
        }
        let sizes = buffers.raise(&mut last).unwrap();
        assert_eq!((sizes.receive, sizes.send), (416 << 10, SOCKET_MOST));
        assert_eq!(buffers.left + last.extra, BUDGET);
        assert_eq!(buffers.raise(&mut last), None, "there is no more");
        let mut dialled = Allowance::ELSEWHERE;
        assert_eq!(buffers.raise(&mut dialled), None);
    }

    /// Goal: without a budget every socket has the floor. Method: budgets below a step.
    #[test]
    fn no_budget_is_the_floor() {
        for budget in [0, 1000, SOCKET_PART * SOCKET_STEP - 1] {
            let mut buffers = Buffers {
                left: budget,
                ..buffers()
            };
            assert_eq!(buffers.take().sizes, Some(Sizes::FLOOR));
            assert_eq!(buffers.left, budget);
        }
    }
}
