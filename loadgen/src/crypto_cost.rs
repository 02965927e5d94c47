//! What it costs to seal and to open a message of a run's size: measured here, with
//! the batches that a busy server has, so that a report can say which part of the
//! server's time that is.

use std::time::{Duration, Instant};

use sealwire::crypto::batch::{OpenBatch, OpenJob, SealBatch, SealJob};
use sealwire::crypto::kernel::Kernel;
use sealwire::crypto::keys::Keys;
use sealwire::limits::{BLOCK, MAX_PAYLOAD, TAG};
use sealwire::span::{Area, Span};

use crate::limits::{COST_BATCH, COST_BYTES, COST_ROUNDS};
use crate::plan::{Over, Plan};
use crate::results::CryptoCost;

/// The medians of some rounds, for `plan`'s messages; `None` if it seals nothing.
pub(crate) fn measure(plan: &Plan, kernel: Kernel) -> Option<CryptoCost> {
    if plan.over != Over::Sealed {
        return None;
    }
    let mut bench = Bench::new(plan.size, kernel);
    let mut rounds: Vec<_> = (0..COST_ROUNDS).map(|_| bench.round()).collect();
    let mut median = |of: fn(&(Duration, Duration)) -> Duration| {
        rounds.sort_unstable_by_key(of);
        of(&rounds[COST_ROUNDS / 2]).div_f64(bench.messages as f64)
    };
    Some(CryptoCost {
        seal: median(|round| round.0),
        open: median(|round| round.1),
    })
}

/// A batch of messages, each of as many records as it needs.
struct Bench {
    keys: Keys,
    seals: SealBatch,
    opens: OpenBatch,
    payload: Vec<u8>,
    output: Vec<u8>,
    messages: usize,
    /// Payload bytes of every record of the batch.
    records: Vec<usize>,
}

impl Bench {
    fn new(size: usize, kernel: Kernel) -> Self {
        let chunks = size.div_ceil(MAX_PAYLOAD).max(1);
        let messages = (COST_BYTES / size.max(1)).clamp(1, COST_BATCH);
        let records: Vec<_> = (0..messages * chunks)
            .map(|index| (size - index % chunks * MAX_PAYLOAD).min(MAX_PAYLOAD))
            .collect();
        Self {
            keys: Keys::new(kernel),
            seals: SealBatch::default(),
            opens: OpenBatch::default(),
            payload: vec![0; size.min(MAX_PAYLOAD)],
            output: vec![0; records.iter().map(|&payload| sealed(payload)).sum()],
            messages,
            records,
        }
    }

    /// Seals the batch and opens it again, under new keys; says how long each took.
    fn round(&mut self) -> (Duration, Duration) {
        let seal = self.keys.seal.install(&[1; 32], 0);
        let open = self.keys.open.install(&[1; 32], 0);
        let began = Instant::now();
        let mut body = 0;
        for (&payload, sequence) in self.records.iter().zip(0..) {
            self.seals.push(SealJob {
                key: seal.id(),
                sequence,
                kind: 0,
                blocks: (payload / BLOCK + 1) as u16,
                payload: Span::new(Area::ONLY, 0..payload),
                body,
            });
            body += sealed(payload);
        }
        self.seals
            .run(&self.keys.seal, &[&self.payload[..]], &mut self.output);
        let sealing = began.elapsed();
        let began = Instant::now();
        let mut body = 0;
        for (&payload, sequence) in self.records.iter().zip(0..) {
            let end = body + sealed(payload);
            self.opens.push(OpenJob {
                key: open.id(),
                sequence,
                body: Span::new(Area::ONLY, body..end),
            });
            body = end;
        }
        self.opens.run(&self.keys.open, &mut &mut self.output[..]);
        let opening = began.elapsed();
        assert!((0..self.opens.len()).all(|index| self.opens.result(index).1));
        self.opens.clear();
        self.keys.seal.remove(seal);
        self.keys.open.remove(open);
        (sealing, opening)
    }
}

/// Bytes of a record's body with so many of payload.
fn sealed(payload: usize) -> usize {
    (payload / BLOCK + 1) * BLOCK + TAG
}
