//! Records of a plan in batches.

use sealwire::Kernel;
use sealwire::crypto::batch::{OpenBatch, OpenJob, SealBatch, SealJob};
use sealwire::crypto::keys::{Handle, KeyId, KeyStore, OpenKeys, RecordKeys, SealKeys, epoch_of};
use sealwire::span::{Area, Span};

use crate::plan::{AROUND, Memory, OPENED_IN, Plan, Record};

/// The keys of a plan's directions, each installed when it is first used.
pub(crate) struct Keys<'a, K> {
    plan: &'a Plan,
    pub(crate) store: KeyStore<K>,
    handles: Vec<Option<Handle>>,
}

impl<'a, K: RecordKeys> Keys<'a, K> {
    pub(crate) fn new(kernel: Kernel, plan: &'a Plan) -> Self {
        Self {
            plan,
            store: KeyStore::new(kernel),
            handles: plan.directions.iter().map(|_| None).collect(),
        }
    }

    /// Prepares the keys for `sequence`, which a batch may then name.
    fn prepare(&mut self, direction: usize, sequence: u64) -> KeyId {
        let handle = self.handles[direction].get_or_insert_with(|| {
            let direction = &self.plan.directions[direction];
            let epoch = epoch_of(direction.first);
            self.store.install(&direction.secret, epoch)
        });
        self.store.prepare(handle, sequence);
        handle.id()
    }

    /// Erases the keys of the epochs before that of `record`, in its direction.
    pub(crate) fn advance(&mut self, record: &Record) {
        self.prepare(record.direction, record.sequence);
        let handle = self.handles[record.direction].as_mut().unwrap();
        self.store.advance(handle, record.sequence);
    }

    /// Erases the keys of a direction.
    pub(crate) fn remove(&mut self, direction: usize) {
        let handle = self.handles[direction].take().unwrap();
        self.store.remove(handle);
    }
}

/// Seals `records` in one batch.
pub(crate) fn seal(
    batch: &mut SealBatch,
    keys: &mut Keys<'_, SealKeys>,
    records: &[Record],
    output: &mut [u8],
) {
    for record in records {
        batch.push(SealJob {
            key: keys.prepare(record.direction, record.sequence),
            sequence: record.sequence,
            kind: record.kind,
            blocks: record.blocks,
            payload: record.payload,
            body: record.body.range().start,
        });
    }
    assert_eq!(batch.len(), records.len());
    batch.run(&keys.store, &keys.plan.sources, output);
    assert!(batch.is_empty());
}

/// A record to open, as it arrives.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) direction: usize,
    pub(crate) sequence: u64,
    /// Ciphertext and tag.
    pub(crate) bytes: Vec<u8>,
    gap: usize,
    area: Area,
}

/// `records` as they were sealed.
pub(crate) fn arrived(records: &[Record], sealed: &[u8]) -> Vec<Arrived> {
    let arrived = records.iter().map(|record| Arrived {
        direction: record.direction,
        sequence: record.sequence,
        bytes: sealed[record.body.range()].to_vec(),
        gap: record.gap,
        area: record.opened_in,
    });
    arrived.collect()
}

/// The result of opening a record.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) held: bool,
    /// The bytes in its place: its text, and bytes without a meaning.
    pub(crate) bytes: Vec<u8>,
}

impl Opened {
    /// Whether its tag held and its text is `text`.
    pub(crate) fn is(&self, text: &[u8]) -> bool {
        self.held && self.bytes.starts_with(text)
    }

    /// Whether it was refused and not changed.
    pub(crate) fn is_as_it_came(&self, arrived: &Arrived) -> bool {
        !self.held && self.bytes == arrived.bytes
    }
}

/// Opens all records in one batch, each in its area. No other byte may change.
pub(crate) fn open(
    batch: &mut OpenBatch,
    keys: &mut Keys<'_, OpenKeys>,
    arrived: &[Arrived],
) -> Vec<Opened> {
    let mut memory = Memory(vec![Vec::new(); OPENED_IN]);
    batch.clear();
    for record in arrived {
        let area = &mut memory.0[record.area.0 as usize];
        area.resize(area.len() + record.gap, AROUND);
        let start = area.len();
        area.extend(&record.bytes);
        batch.push(OpenJob {
            key: keys.prepare(record.direction, record.sequence),
            sequence: record.sequence,
            body: Span::new(record.area, start..area.len()),
        });
    }
    memory
        .0
        .iter_mut()
        .for_each(|area| area.extend([AROUND; 2]));
    let mut expected = memory.clone();
    batch.run(&keys.store, &mut memory);

    assert_eq!(batch.len(), arrived.len());
    let mut opened = Vec::new();
    for index in 0..arrived.len() {
        let (job, held) = batch.result(index);
        let (area, body) = (job.body.area.0 as usize, job.body.range());
        let bytes = memory.0[area][body.clone()].to_vec();
        expected.0[area][body].copy_from_slice(&bytes);
        opened.push(Opened { held, bytes });
    }
    assert!(memory == expected, "bytes around records were changed");
    opened
}

/// Seals `plan` in one batch with every kernel, and compares all output, with the bytes around
/// records, with the plain crates'. Opens their records in one batch, in all areas; and once more
/// with a bit changed in every third, which must be refused alone.
pub(crate) fn check_every_kernel(plan: &Plan, what: &str) {
    let sealed = plan.all_sealed();
    let right = arrived(&plan.records, &sealed);
    let mut spoilt = right.clone();
    for record in spoilt.iter_mut().step_by(3) {
        *record.bytes.last_mut().unwrap() ^= 1;
    }
    for kernel in Kernel::all() {
        let mut output = plan.empty_output();
        let mut keys = Keys::new(kernel, plan);
        let batch = &mut SealBatch::default();
        seal(batch, &mut keys, &plan.records, &mut output);
        assert!(output == sealed, "{kernel:?}: {what}");

        for arrived in [&right, &spoilt] {
            let mut keys = Keys::new(kernel, plan);
            let opened = open(&mut OpenBatch::default(), &mut keys, arrived);
            for (index, opened) in opened.iter().enumerate() {
                let is_right = match arrived[index].bytes == right[index].bytes {
                    true => opened.is(&plan.plaintext(&plan.records[index])),
                    false => opened.is_as_it_came(&arrived[index]),
                };
                assert!(is_right, "{kernel:?}: {what}: {index}");
            }
        }
    }
}
