//! What a subscriber has received of a publisher's messages, and which are missing.

use std::collections::BTreeSet;

use crate::limits::MISSING;

#[derive(Debug, Clone, Default)]
pub(super) struct Gaps {
    pub(super) next: u64,
    /// Missing numbers before it, no more than [`MISSING`].
    missing: BTreeSet<u64>,
}

impl Gaps {
    /// Message `index` came, and none of those from `next` on.
    pub(super) fn skip_to(&mut self, index: u64) {
        let from = self.next.max(index.saturating_sub(MISSING));
        self.missing.extend(from..index);
        while self.missing.len() as u64 > MISSING {
            self.missing.pop_first();
        }
        self.next = index + 1;
    }

    /// Message `number`, which is before `next`, came after all. Returns whether it was missing.
    pub(super) fn fill(&mut self, number: u64) -> bool {
        self.missing.remove(&number)
    }
}
