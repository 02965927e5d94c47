//! 64 chunks of 16 KiB, one cost at a time, with the kernel of `auto`.
//!
//! - `hmac`: the tags alone. All tags of the records are wrong, so none is decrypted.
//! - `aes`: the cipher alone: how much longer it takes to open the same records with right tags.
//!   (When sealing, the cipher runs beside the hash.)
//! - `seal`: both in one batch, with all around them.
//! - `connection`: a message of 1 MiB through a whole connection, from the call that sends it to
//!   bytes for the socket.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use sealwire::limits::{MAX_PAYLOAD, TAG};

use crate::common::{NOW, chosen, pair};
use crate::time_open;
use crate::work::{RECORDS, Work};

/// The group `steps`.
pub(crate) fn steps(criterion: &mut Criterion) {
    let work = Work::equal(MAX_PAYLOAD);
    let (payloads, mut output) = (work.payloads(), work.output());
    let mut group = criterion.benchmark_group("steps");
    group.throughput(Throughput::Bytes(work.payload_len() as u64));

    let mut seal = work.sealer(chosen::kernel());
    seal(&payloads, &mut output);
    let sealed = output.clone();
    let mut forged = sealed.clone();
    for place in work.places() {
        forged[place.body.end - TAG] ^= 1;
    }
    let mut records = sealed.clone();
    let mut open = work.opener(chosen::kernel());
    let mut time_open =
        |sealed: &[u8], expected| time_open(&mut open, &mut records, sealed, expected);
    group.bench_function("hmac", |bench| {
        bench.iter_custom(|n| (0..n).map(|_| time_open(&forged, 0)).sum());
    });
    group.bench_function("aes", |bench| {
        bench.iter_custom(|n| {
            let (mut both, mut tags) = (Duration::ZERO, Duration::ZERO);
            for _ in 0..n {
                both += time_open(&sealed, RECORDS);
                tags += time_open(&forged, 0);
            }
            // Criterion takes no time of zero, which noise may give.
            both.saturating_sub(tags).max(Duration::from_nanos(n))
        });
    });
    group.bench_function("seal", |bench| {
        bench.iter(|| {
            seal(black_box(&payloads), &mut output);
            black_box(&mut output);
        });
    });
    let [mut client, _] = pair();
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
