//! What one message costs without sockets: from the call that sends it to the event at
//! the other side, over a pair of connections; and echoed by an endpoint, where there
//! are few peers or a million.

mod common;
#[path = "common/crowd.rs"]
mod crowd;

use std::hint::black_box;

use common::{NOW, pair};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crowd::{Crowd, Stream};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sealwire::conn::session::Event;
use sealwire::crypto::kernel::Kernel;
use sealwire::modes::echo::Echo;

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine");
    for size in [64, 1024, 16_384, 1 << 20] {
        let (mut client, mut server) = pair();
        let message = vec![0x5a; size];
        let (mut wire, mut back) = (Vec::new(), Vec::new());
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("message", size), |bencher| {
            bencher.iter(|| {
                wire.clear();
                assert!(client.send(NOW, black_box(&message), &mut wire));
                server.receive(NOW, &wire, &mut back);
                match server.poll_event() {
                    Some(Event::Message(came)) => assert_eq!(came.len(), size),
                    other => panic!("no message but {other:?}"),
                }
            });
        });
    }
    group.finish();
}

/// How many peers say something in a tick.
const READY: usize = 64;
/// How many messages each has to say at most.
const MESSAGES: usize = 1 << 17;

/// A tick in which some of many peers, who are anywhere in memory, have 64 bytes echoed.
fn growth(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("growth");
    group.throughput(Throughput::Elements(READY as u64));
    for count in [1000, 10_000, 100_000, 1_000_000] {
        let kernel = Kernel::chosen().expect("a kernel");
        let stream = Stream::new(kernel, 64, MESSAGES);
        let before = resident();
        let mut crowd = Crowd::new(kernel, Echo, count, stream);
        let each = resident().saturating_sub(before) / count;
        eprintln!("growth/{count}: {each} bytes for each peer");
        let mut random = StdRng::seed_from_u64(1);
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| {
                for _ in 0..READY {
                    crowd.say(random.random_range(0..count));
                }
                crowd.tick();
            });
        });
        assert!(crowd.wire.written > 0);
    }
    group.finish();
}

/// Bytes of memory that this process has.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.map_or(0, |pages: usize| pages * rustix::param::page_size())
}

criterion_group!(benches, bench, growth);
criterion_main!(benches);
