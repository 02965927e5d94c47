//! Records that are not what their sender sealed.

use hmac::Mac;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use sealwire::Kernel;
use sealwire::crypto::batch::OpenBatch;
use sealwire::crypto::keys::epoch_of;
use sealwire::limits::{BLOCK, MAX_BLOCKS, TAG};

use crate::batches::{Arrived, Keys, arrived, open};
use crate::drawn::plans;
use crate::plan::{Direction, Plan, RECORDS, Record};

/// A change to a record of a batch.
#[derive(Debug, Clone)]
enum Change {
    /// One bit of the ciphertext or the tag is flipped.
    Bit(Index, u8),
    /// One bit of the tag is flipped.
    TagBit(u8),
    /// It is opened as the record before or behind it.
    Sequence { behind: bool },
    /// It is opened under another direction's keys.
    Key([u8; 32]),
    /// Its tag was made for another number of blocks.
    Count(u16),
    /// The last block of its ciphertext is missing.
    Shorter,
    /// A block of zeros is behind its ciphertext.
    Longer,
    /// It and another record came in each other's place.
    Swap(Index),
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Change::Bit(at, bit)),
        2 => (0..8 * TAG as u8).prop_map(Change::TagBit),
        1 => any::<bool>().prop_map(|behind| Change::Sequence { behind }),
        1 => any::<[u8; 32]>().prop_map(Change::Key),
        1 => (1..=u16::MAX).prop_map(Change::Count),
        1 => Just(Change::Shorter),
        1 => Just(Change::Longer),
        2 => any::<Index>().prop_map(Change::Swap),
    ]
}

/// A batch with some records that must be refused.
struct Spoilt {
    plan: Plan,
    arrived: Vec<Arrived>,
    /// Which they are.
    refused: Vec<bool>,
}

impl Spoilt {
    fn new(plan: Plan, changes: &[(Index, Change)]) -> Self {
        let arrived = arrived(&plan.records, &plan.all_sealed());
        let count = arrived.len();
        let mut spoilt = Self {
            plan,
            arrived,
            refused: vec![false; count],
        };
        // An empty batch has no record to change.
        for (victim, change) in changes.iter().filter(|_| count > 0) {
            let victim = victim.index(count);
            // A second change might take the first one back.
            if !spoilt.refused[victim] {
                spoilt.refused[victim] = spoilt.change(victim, change);
            }
        }
        spoilt
    }

    /// Changes a record, if that can be done to it.
    fn change(&mut self, victim: usize, change: &Change) -> bool {
        if let Change::Swap(other) = change {
            return self.swap(victim, other.index(self.arrived.len()));
        }
        let record = &self.plan.records[victim];
        let arrived = &mut self.arrived[victim];
        let tag = arrived.bytes.len() - TAG;
        match *change {
            Change::Bit(at, bit) => arrived.bytes[at.index(tag + TAG)] ^= 1 << bit,
            Change::TagBit(bit) => arrived.bytes[tag + usize::from(bit / 8)] ^= 1 << (bit % 8),
            Change::Sequence { behind } => arrived.sequence = neighbour(&self.plan, record, behind),
            Change::Key(secret) => {
                let first = record.sequence;
                arrived.direction = self.plan.directions.len();
                self.plan.directions.push(Direction { secret, first });
            }
            Change::Count(other) => {
                let blocks = record.blocks.wrapping_add(other);
                let (text, tag) = arrived.bytes.split_at_mut(tag);
                let mac = self.plan.keys(record).mac(record.sequence, blocks, text);
                tag.copy_from_slice(&mac.finalize().into_bytes()[..TAG]);
            }
            Change::Shorter if record.blocks == 1 => return false,
            Change::Shorter => drop(arrived.bytes.drain(tag - BLOCK..tag)),
            Change::Longer if usize::from(record.blocks) == MAX_BLOCKS => return false,
            Change::Longer => drop(arrived.bytes.splice(tag..tag, [0; BLOCK])),
            Change::Swap(_) => unreachable!("above"),
        }
        true
    }

    fn swap(&mut self, one: usize, other: usize) -> bool {
        if one == other || self.refused[other] {
            return false;
        }
        let (low, high) = self.arrived.split_at_mut(one.max(other));
        std::mem::swap(&mut low[one.min(other)].bytes, &mut high[0].bytes);
        self.refused[other] = true;
        true
    }
}

/// A sequence beside that of `record`, for which there are keys.
fn neighbour(plan: &Plan, record: &Record, behind: bool) -> u64 {
    let first = plan.directions[record.direction].first;
    let before = record.sequence.wrapping_sub(1);
    let after = record.sequence + 1;
    // Neither before the first epoch that is installed nor behind the last.
    let has_before = record.sequence > 0 && epoch_of(before) >= epoch_of(first);
    match epoch_of(after) == epoch_of(record.sequence) {
        true if behind || !has_before => after,
        _ => before,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(768))]

    /// Goal: with every kernel, a record that is not exactly what was sealed, at its place,
    /// under its keys, is refused and not decrypted, and no other record is. Method: spoil
    /// some records of a batch in any way; their bytes must stay as they came, and all others
    /// must open.
    #[test]
    fn changed_records_are_refused_alone(
        plan in plans(),
        changes in prop_oneof![
            vec((any::<Index>(), changes()), 1..=3),
            vec((any::<Index>(), changes()), 1..=RECORDS),
        ],
    ) {
        let Spoilt { plan, arrived, refused } = Spoilt::new(plan, &changes);
        for kernel in Kernel::all() {
            let mut keys = Keys::new(kernel, &plan);
            let opened = open(&mut OpenBatch::default(), &mut keys, &arrived);
            for (index, opened) in opened.iter().enumerate() {
                let is_right = match refused[index] {
                    true => opened.is_as_it_came(&arrived[index]),
                    false => opened.is(&plan.plaintext(&plan.records[index])),
                };
                prop_assert!(is_right, "{:?}: record {}, held: {}", kernel, index, opened.held);
            }
        }
    }
}
