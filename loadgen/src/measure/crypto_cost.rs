//! What it costs to seal and to open a message of a run's size, measured here.
//!
//! The batches are as large as the server's batches in the run, because a lone message costs
//! several times as much. A report derives crypto's share of the server's CPU time from it.

use std::time::{Duration, Instant};

use sealwire::Kernel;
use sealwire::crypto::batch::{OpenBatch, OpenJob, SealBatch, SealJob};
use sealwire::crypto::keys::KeyStores;
use sealwire::limits::{BLOCK, MAX_PAYLOAD, TAG};
use sealwire::span::Area;
use sealwire::span::Span;

use super::results::{Cost, CryptoCost, Results};
use crate::limits::{COST_BATCH, COST_BYTES, COST_ROUNDS};

/// The cost for the messages of a run, if the server mostly seals and opens.
pub(crate) fn measure(results: &Results) -> Option<CryptoCost> {
    let ((seals, opens), kernel) = results.batches().zip(results.kernel)?;
    let cost = |batch: f64, of: fn(&(Duration, Duration)) -> Duration| {
        Bench::new(results.plan.size, batch.round() as usize, kernel).cost(of)
    };
    Some(CryptoCost {
        seal: cost(seals, |round| round.0),
        open: cost(opens, |round| round.1),
    })
}

/// A batch of messages, each of as many records as it needs.
struct Bench {
    keys: KeyStores,
    seals: SealBatch,
    opens: OpenBatch,
    payload: Vec<u8>,
    output: Vec<u8>,
    messages: usize,
    /// Payload bytes of every record of the batch.
    records: Vec<usize>,
}

impl Bench {
    fn new(size: usize, batch: usize, kernel: Kernel) -> Self {
        let chunks = size.div_ceil(MAX_PAYLOAD).max(1);
        let most = (COST_BYTES / size.max(1)).clamp(1, COST_BATCH);
        let messages = batch.clamp(1, most);
        let records: Vec<_> = (0..messages * chunks)
            .map(|index| (size - index % chunks * MAX_PAYLOAD).min(MAX_PAYLOAD))
            .collect();
        Self {
            keys: KeyStores::new(kernel),
            seals: SealBatch::default(),
            opens: OpenBatch::default(),
            payload: vec![0; size.min(MAX_PAYLOAD)],
            output: vec![0; records.iter().map(|&payload| sealed(payload)).sum()],
            messages,
            records,
        }
    }

    /// The median of some rounds, for each message.
    fn cost(&mut self, of: fn(&(Duration, Duration)) -> Duration) -> Cost {
        let mut rounds: Vec<_> = (0..COST_ROUNDS).map(|_| of(&self.round())).collect();
        rounds.sort_unstable();
        Cost {
            took: rounds[COST_ROUNDS / 2].div_f64(self.messages as f64),
            batch: self.messages,
        }
    }

    /// Seals the batch and opens it again, under new keys. Returns how long each took.
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

/// Bytes of a record's body with `payload` bytes of payload.
fn sealed(payload: usize) -> usize {
    (payload / BLOCK + 1) * BLOCK + TAG
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Kind;
    use crate::testing;

    /// Goal: a batch is as large as the server's, within bounds; messages of many records are
    /// few. Method: made-up runs.
    #[test]
    fn as_many_at_once() {
        let of = |kind, size| {
            let mut results = testing::results();
            (results.plan.kind, results.plan.size) = (kind, size);
            let cost = measure(&results);
            cost.map(|CryptoCost { seal, open }| (seal.batch, open.batch))
        };
        assert_eq!(of(Kind::Echo, 64), Some((2, 2)));
        assert_eq!(of(Kind::Fanout, 64), Some((COST_BATCH, 2)));
        assert_eq!(of(Kind::Fanout, 1 << 20), Some((1, 1)));
        assert_eq!(of(Kind::Fanout, 0), Some((COST_BATCH, 2)));
        assert_eq!(of(Kind::Churn, 64), None);
    }
}
