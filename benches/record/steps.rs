//! Sealing 64 chunks of 16 KiB, one cost at a time.
//!
//! - `aes`: the cipher alone and `hmac`: the MAC alone, as the plain crates do
//!   them, one record after the other. Where a kernel interleaves or stitches, it
//!   has no such parts to measure.
//! - `seal`: both and what is around them, in one batch, by the kernel that is
//!   chosen at start.
//! - `connection`: a message of 1 MiB through a whole connection, from the call
//!   that sends it to bytes for the socket.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use hmac::Mac;

use crate::chosen;
use crate::common::{NOW, pair};
use crate::plain::PlainKeys;
use crate::work::Work;

const CHUNK: usize = 16384;

/// The group `steps`.
pub(crate) fn steps(criterion: &mut Criterion) {
    let work = Work::equal(CHUNK);
    let (payloads, mut output) = (work.payloads(), work.output());
    let keys = PlainKeys::new(0);
    let mut group = criterion.benchmark_group("steps");
    group.throughput(Throughput::Bytes(work.payload_len() as u64));

    group.bench_function("aes", |bench| {
        bench.iter(|| {
            for place in &work.places {
                keys.encrypt(place.sequence, black_box(&mut output[place.text()]));
            }
        });
    });
    group.bench_function("hmac", |bench| {
        bench.iter(|| {
            for place in &work.places {
                let text = black_box(&output[place.text()]);
                black_box(keys.mac(text, place).finalize());
            }
        });
    });
    let mut seal = work.sealer(chosen());
    group.bench_function("seal", |bench| {
        bench.iter(|| {
            seal(black_box(&payloads), &mut output);
            black_box(&mut output);
        });
    });
    let (mut client, _server) = pair();
    let mut wire = Vec::new();
    group.bench_function("connection", |bench| {
        bench.iter(|| {
            wire.clear();
            assert!(client.send(NOW, black_box(&payloads), &mut wire));
            black_box(&mut wire);
        });
    });
    group.finish();
}
