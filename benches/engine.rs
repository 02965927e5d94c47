//! What one message costs without sockets: from the call that sends it to the event at
//! the other side, over a pair of connections; and by an endpoint, where a few peers
//! stream, or where some of a million say something. The allocator counts what it is
//! asked for, here too.

mod common;
#[path = "common/crowd.rs"]
mod crowd;

use std::env;
use std::hint::black_box;
use std::time::{Duration, Instant};

use common::{NOW, pair};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crowd::{Crowd, Stream};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sealwire::{Echo, Mode, SessionEvent as Event, Sink};

fn messages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine");
    for size in [64, 1024, 16_384, 1 << 20] {
        let [mut client, mut server] = pair();
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

/// How many messages each peer has to say at most.
const MESSAGES: usize = 1 << 17;
/// How many peers stream.
const STREAMING: usize = 8;
/// How many messages have come of each when it is their turn.
const CAME: usize = 256;

/// Ticks in which some peers stream 64 bytes at a time: counted, or echoed.
fn stream(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stream");
    group.throughput(Throughput::Elements((STREAMING * CAME) as u64));
    group.bench_function("sink", |bencher| {
        bencher.iter_custom(|ticks| time_streams(Sink, ticks));
    });
    group.bench_function("echo", |bencher| {
        bencher.iter_custom(|ticks| time_streams(Echo, ticks));
    });
    group.finish();
}

/// How long `ticks` ticks take.
fn time_streams<M: Mode + Copy>(mode: M, ticks: u64) -> Duration {
    let kernel = common::chosen::kernel();
    let mut took = Duration::ZERO;
    let mut left = ticks;
    while left > 0 {
        // As far as what was sealed goes; then others come.
        let count = left.min((MESSAGES / CAME) as u64);
        let stream = Stream::new(kernel, 64, count as usize * CAME);
        let mut crowd = Crowd::new(kernel, mode, STREAMING, stream);
        let start = Instant::now();
        for _ in 0..count {
            for peer in 0..STREAMING {
                crowd.arrive(peer, CAME * crowd.wire.stream.message);
            }
            crowd.tick();
        }
        took += start.elapsed();
        let messages = count as usize * CAME * STREAMING;
        assert_eq!(crowd.endpoint.stats().messages, messages as u64);
        left -= count;
    }
    took
}

/// How many peers say something in a tick.
const READY: usize = 64;

/// A tick in which some of many peers, anywhere in memory, have 64 bytes echoed.
fn growth(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("growth");
    group.throughput(Throughput::Elements(READY as u64));
    for &count in counts() {
        let mut crowd = None;
        let mut random = StdRng::seed_from_u64(1);
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            // Here, so that what is filtered out is not built; and once, as this is
            // called for every sample.
            let crowd = crowd.get_or_insert_with(|| gather(count));
            bencher.iter(|| {
                for _ in 0..READY {
                    crowd.say(random.random_range(0..count));
                }
                crowd.tick();
            });
        });
        if let Some(crowd) = crowd {
            assert!(crowd.wire.written > 0);
        }
    }
    group.finish();
}

/// How many peers there are. To try whether it works, as `--test` and `cargo test` do,
/// takes none of the crowds that take long to gather.
fn counts() -> &'static [usize] {
    let has = |flag: &str| env::args().any(|arg| arg == flag);
    if has("--bench") && !has("--test") {
        &[1000, 10_000, 100_000, 1_000_000]
    } else {
        &[1000, 10_000]
    }
}

/// A crowd of `count` peers; prints what each costs in memory.
fn gather(count: usize) -> Crowd<Echo> {
    let kernel = common::chosen::kernel();
    let mut crowd = Crowd::new(kernel, Echo, 0, Stream::new(kernel, 64, MESSAGES));
    // What the bench itself has for each is there before anything is counted, and so is
    // what the endpoint has for all.
    crowd.wire.places.reserve(count);
    crowd.peers.reserve(count);
    let start = Instant::now();
    let info = allocation_counter::measure(|| {
        while crowd.peers.len() < count {
            // A few at a time: the events of all at once would count as theirs.
            for _ in 0..READY.min(count - crowd.peers.len()) {
                crowd.add();
            }
            crowd.tick();
        }
    });
    let took = start.elapsed().as_secs_f64();
    let each = info.bytes_current as f64 / count as f64;
    eprintln!(
        "growth/{count}: {each:.0} bytes that the endpoint allocated for each peer, silent; \
         gathered in {took:.2} s"
    );
    crowd
}

criterion_group!(benches, messages, stream, growth);
criterion_main!(benches);
