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
use sealwire::limits::MAX_PACKED;
use sealwire::{Echo, Limits, Mode, SessionEvent as Event, Sink};

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

/// Messages of 64 bytes that are sent at once, one by one or together.
fn at_once(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("at_once");
    for count in [1, 4, 16, 64, 256, 1000] {
        group.throughput(Throughput::Elements(count as u64));
        for (name, together) in [("send", false), ("send_all", true)] {
            let [mut client, mut server] = pair();
            let message = [0x5a; 64];
            let messages = vec![&message[..]; count];
            let (mut wire, mut back) = (Vec::new(), Vec::new());
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                bencher.iter(|| {
                    wire.clear();
                    if together {
                        assert!(client.send_all(NOW, black_box(&messages), &mut wire));
                    } else {
                        for message in black_box(&messages) {
                            assert!(client.send(NOW, message, &mut wire));
                        }
                    }
                    server.receive(NOW, &wire, &mut back);
                    let came = std::iter::from_fn(|| server.poll_event());
                    assert_eq!(came.count(), count);
                });
            });
        }
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

/// Ticks in which some peers stream packs of 62-byte messages, which are 64 with their
/// lengths: counted, or echoed, in packs or each alone. `1` is an END for each message.
fn packs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("packs");
    group.throughput(Throughput::Elements((STREAMING * CAME) as u64));
    for each in [1, 4, 16, 64, 256] {
        group.bench_function(BenchmarkId::new("sink", each), |bencher| {
            bencher.iter_custom(|ticks| time_packs(Sink, ticks, each, MAX_PACKED));
        });
        group.bench_function(BenchmarkId::new("echo", each), |bencher| {
            bencher.iter_custom(|ticks| time_packs(Echo, ticks, each, MAX_PACKED));
        });
        group.bench_function(BenchmarkId::new("echo_alone", each), |bencher| {
            bencher.iter_custom(|ticks| time_packs(Echo, ticks, each, 1));
        });
    }
    // Up to which size packing pays: a few messages of each peer, which came alone.
    for len in [64, 256, 512, 1024] {
        for (name, most) in [("packed", MAX_PACKED), ("alone", 1)] {
            group.bench_function(BenchmarkId::new(name, len), |bencher| {
                bencher.iter_custom(|ticks| time_few(ticks, len, most));
            });
        }
    }
    group.finish();
}

/// How long `ticks` ticks take in which many peers have a few messages of `len` bytes echoed.
fn time_few(ticks: u64, len: usize, most: usize) -> Duration {
    let kernel = common::chosen::kernel();
    let mut limits = Limits::default();
    limits.max_packed = most;
    time(ticks, |count| {
        let stream = Stream::new(kernel, len, count * 4);
        let crowd = Crowd::with(kernel, Echo, 64, stream, limits.clone());
        (crowd, 4, 4)
    })
}

/// How long `ticks` ticks take, with `each` messages in each record that comes, and at most
/// `most` in each that goes.
fn time_packs<M: Mode + Copy>(mode: M, ticks: u64, each: usize, most: usize) -> Duration {
    let kernel = common::chosen::kernel();
    let mut limits = Limits::default();
    limits.max_packed = most;
    time(ticks, |count| {
        let stream = match each {
            1 => Stream::new(kernel, 62, count * CAME),
            _ => Stream::packed(kernel, 62, count * CAME / each, each),
        };
        let crowd = Crowd::with(kernel, mode, STREAMING, stream, limits.clone());
        (crowd, CAME / each, CAME)
    })
}

/// How long `ticks` ticks take.
fn time_streams<M: Mode + Copy>(mode: M, ticks: u64) -> Duration {
    let kernel = common::chosen::kernel();
    time(ticks, |count| {
        let stream = Stream::new(kernel, 64, count * CAME);
        (Crowd::new(kernel, mode, STREAMING, stream), CAME, CAME)
    })
}

/// How long `ticks` ticks take. `make` makes a crowd with enough to say for some ticks, and
/// tells how many records each peer sends in one, and how many messages these have.
fn time<M: Mode>(ticks: u64, make: impl Fn(usize) -> (Crowd<M>, usize, usize)) -> Duration {
    let mut took = Duration::ZERO;
    let mut left = ticks;
    while left > 0 {
        // As far as what was sealed goes; then others come.
        let count = left.min((MESSAGES / CAME) as u64);
        let (mut crowd, records, messages) = make(count as usize);
        let start = Instant::now();
        for _ in 0..count {
            for peer in 0..crowd.peers.len() {
                crowd.arrive(peer, records * crowd.wire.stream.record);
            }
            crowd.tick();
        }
        took += start.elapsed();
        let sent = count * (messages * crowd.peers.len()) as u64;
        assert_eq!(crowd.endpoint.stats().messages, sent);
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

criterion_group!(benches, messages, at_once, stream, packs, growth);
criterion_main!(benches);
