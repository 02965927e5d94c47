//! What one message costs from the call that sends it to the event at the other
//! side, over a pair of connections in memory: sealing, framing, opening and
//! the rules in between, with no socket.

mod common;

use std::hint::black_box;

use common::{NOW, pair};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sealwire::conn::session::Event;

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

criterion_group!(benches, bench);
criterion_main!(benches);
