//! What a subscriber has had of a publisher's messages.

use std::collections::BTreeSet;

use crate::limits::MISSING;

/// What a subscriber has had of a publisher.
#[derive(Debug, Clone, Default)]
pub(super) struct Had {
    /// The number of the message that is next.
    pub(super) next: u64,
    /// Those before it that have not come, no more than [`MISSING`].
    missing: BTreeSet<u64>,
}

impl Had {
    /// Has had `index`, and none of those since `next`.
    pub(super) fn skip_to(&mut self, index: u64) {
        self.missing
            .extend(self.next.max(index.saturating_sub(MISSING))..index);
        while self.missing.len() as u64 > MISSING {
            self.missing.pop_first();
        }
        self.next = index + 1;
    }

    /// Has `number`, which is before `next`, after all; says whether it was missing.
    pub(super) fn has_now(&mut self, number: u64) -> bool {
        self.missing.remove(&number)
    }
}
