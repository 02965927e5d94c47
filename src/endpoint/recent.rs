//! What peers proved themselves with lately, so that a recording of it proves nothing again.
//!
//! It keeps the newest and forgets the oldest. An older recording is taken once more
//! (`docs/SECURITY.md`). Read next: [`super::admission`].

use std::collections::{HashSet, VecDeque};

use crate::limits::REMEMBERED;

/// Sixteen bytes that only a holder of the keys can make anew: of a tag, or an IV under one.
pub(super) type Mark = [u8; 16];

/// The newest marks, at most [`REMEMBERED`] of them.
///
/// Invariant: both fields have the same marks.
#[derive(Debug, Default)]
pub(super) struct Recent {
    in_order: VecDeque<Mark>,
    all: HashSet<Mark>,
}

impl Recent {
    /// Notes `mark`. Returns whether it is new.
    pub(super) fn note(&mut self, mark: Mark) -> bool {
        if !self.all.insert(mark) {
            return false;
        }
        if self.in_order.len() == REMEMBERED
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.all.remove(&oldest);
        }
        self.in_order.push_back(mark);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the newest marks are known, and only those. Method: one more than it keeps, with
    /// repeats, which change nothing.
    #[test]
    fn the_newest_are_known() {
        let mark = |n: usize| (n as u128).to_be_bytes();
        let mut recent = Recent::default();
        for n in 0..REMEMBERED {
            assert!(recent.note(mark(n)) && !recent.note(mark(n)));
        }
        assert!(!recent.note(mark(0)) && recent.note(mark(REMEMBERED)));
        assert!(!recent.note(mark(1)) && recent.note(mark(0)));
        assert_eq!(recent.all.len(), REMEMBERED);
    }
}
