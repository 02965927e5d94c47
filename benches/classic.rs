//! How fast classic frames are sealed and opened: a line of 64 full frames
//! through a connection, in bytes of text.
//!
//! The IV is given, not drawn. Opening destroys its input; restoring it is not
//! timed.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sealwire::classic::ClassicConnection;
use sealwire::limits::{BLOCK, CLASSIC_FRAME, CLASSIC_TEXT};
use sealwire::{ClassicKeys, Secret, SecretPair, Time};

const FRAMES: usize = 64;
const LINE: &str = "fifteen letters";
const IV: [u8; BLOCK] = [7; BLOCK];

fn connection() -> ClassicConnection {
    let keys = ClassicKeys::new(&SecretPair {
        confkey: Secret::new(vec![b'k'; 32]),
        authkey: Secret::new(vec![b'a'; 32]),
    });
    ClassicConnection::new(keys, 1 << 20, Time::ZERO)
}

/// Seals the whole of `line` into `frames`.
fn seal_line(conn: &mut ClassicConnection, line: &str, frames: &mut [u8]) {
    let mut rest = line.as_bytes();
    for place in frames.chunks_mut(CLASSIC_FRAME) {
        rest = &rest[conn.seal(rest, IV)..];
        place.copy_from_slice(conn.frame().expect("just sealed"));
        conn.taken(CLASSIC_FRAME);
    }
    assert!(rest.is_empty());
}

/// Opens all of `frames`. Returns whether the line ended with the last.
fn open_line(conn: &mut ClassicConnection, frames: &mut [u8]) -> bool {
    let mut last = false;
    for frame in frames.chunks_mut(CLASSIC_FRAME) {
        last = conn.open(Time::ZERO, frame).expect("our own frame").last;
    }
    last
}

fn bench(criterion: &mut Criterion) {
    let line = LINE.repeat(FRAMES);
    let mut sealed = vec![0; FRAMES * CLASSIC_FRAME];
    let mut frames = sealed.clone();
    let mut conn = connection();
    seal_line(&mut conn, &line, &mut sealed);

    let mut group = criterion.benchmark_group("classic");
    group.throughput(Throughput::Bytes((FRAMES * CLASSIC_TEXT) as u64));
    group.bench_function(BenchmarkId::new("seal", CLASSIC_TEXT), |bencher| {
        bencher.iter(|| {
            seal_line(&mut conn, &line, &mut frames);
            black_box(&mut frames);
        });
    });
    group.bench_function(BenchmarkId::new("open", CLASSIC_TEXT), |bencher| {
        bencher.iter_custom(|count| {
            let mut spent = Duration::ZERO;
            for _ in 0..count {
                frames.copy_from_slice(&sealed);
                let start = Instant::now();
                assert!(open_line(&mut conn, black_box(&mut frames)));
                spent += start.elapsed();
            }
            spent
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
