//! How fast native records are sealed and opened, in bytes of payload.
//!
//! Always 64 records of one direction, of 64 B, 1 KiB or 16 KiB, by these ids:
//!
//! - `portable`, `aesni`, `avx512`: one batch and one key, with that kernel, if the processor has
//!   it; `auto`: with the kernel that the environment names, or the fastest. The ids below use that
//!   kernel too.
//! - `one_by_one`: as a user of the plain `cbc` and `hmac` crates writes it (`plain.rs`).
//! - `many_keys`: every record under a key of its own.
//! - `mixed`: lengths as a chat server sees them (`work.rs`), under one key; `mixed_one_by_one`:
//!   the same with the plain crates.
//! - `lone`: every record in a batch of its own; `lone_portable`: the same with that kernel.
//!
//! All give the same bytes, which is checked first. `steps` adds one cost at a time (`steps.rs`).
//! `scripts/bench` makes a table.
//!
//! Opening destroys its input. The time excludes restoring it, and includes two readings of the
//! clock for 64 records, which is well below 1 % of the shortest.

#[path = "../../tests/common/batches.rs"]
mod batches;
mod plain;
mod steps;
mod work;

#[path = "../common/mod.rs"]
mod common;
#[path = "../../tests/common/plain.rs"]
mod plain_keys;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use sealwire::Kernel;

use work::{RECORDS, Work};

const LENS: [usize; 3] = [64, 1024, 16384];

type Sealer<'a> = Box<dyn FnMut(&[u8], &mut [u8]) + 'a>;
type Opener<'a> = Box<dyn FnMut(&mut [u8]) -> usize + 'a>;

/// A measurement.
struct Case {
    id: BenchmarkId,
    work: Work,
    /// The kernel; without one, the plain crates one by one.
    kernel: Option<Kernel>,
}

impl Case {
    fn sealer(&self) -> Sealer<'_> {
        match self.kernel {
            Some(kernel) => Box::new(self.work.sealer(kernel)),
            None => Box::new(plain::sealer(&self.work)),
        }
    }

    fn opener(&self) -> Opener<'_> {
        match self.kernel {
            Some(kernel) => Box::new(self.work.opener(kernel)),
            None => Box::new(plain::opener(&self.work)),
        }
    }
}

fn cases() -> Vec<Case> {
    let (auto, portable) = (Some(common::chosen::kernel()), Some(Kernel::PORTABLE));
    let mut cases = Vec::new();
    let mut add = |id, work, kernel| cases.push(Case { id, work, kernel });
    for len in LENS {
        let id = |name| BenchmarkId::new(name, len);
        for kernel in Kernel::all() {
            add(id(kernel.name()), Work::equal(len), Some(kernel));
        }
        add(id("auto"), Work::equal(len), auto);
        add(id("one_by_one"), Work::equal(len), None);
        add(id("many_keys"), Work::many_keys(len), auto);
        add(id("lone"), Work::lone(len), auto);
        add(id("lone_portable"), Work::lone(len), portable);
    }
    let id = BenchmarkId::from_parameter;
    add(id("mixed"), Work::mixed(), auto);
    add(id("mixed_one_by_one"), Work::mixed(), None);
    cases
}

/// The records of `work`, sealed one by one: the right bytes.
fn sealed(work: &Work) -> Vec<u8> {
    let mut sealed = work.output();
    plain::sealer(work)(&work.payloads(), &mut sealed);
    sealed
}

fn seal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("seal");
    for case in cases() {
        let work = &case.work;
        let (payloads, mut output) = (work.payloads(), work.output());
        let mut seal = case.sealer();
        seal(&payloads, &mut output);
        assert!(output == sealed(work), "{:?}: other bytes", case.kernel);

        group.throughput(Throughput::Bytes(work.payload_len() as u64));
        group.bench_function(case.id.clone(), |bench| {
            bench.iter(|| {
                seal(black_box(&payloads), &mut output);
                black_box(&mut output);
            });
        });
    }
    group.finish();
}

/// Times `open` once. Before that, `records` become `sealed`. It must open as many as expected.
fn time_open(
    open: &mut dyn FnMut(&mut [u8]) -> usize,
    records: &mut [u8],
    sealed: &[u8],
    expected: usize,
) -> Duration {
    records.copy_from_slice(sealed);
    let start = Instant::now();
    let opened = open(black_box(records));
    let time = start.elapsed();
    assert_eq!(opened, expected);
    black_box(records);
    time
}

fn open(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("open");
    for case in cases() {
        let work = &case.work;
        let (sealed, payloads) = (sealed(work), work.payloads());
        let mut open = case.opener();
        let mut opened = sealed.clone();
        assert_eq!(open(&mut opened), RECORDS);
        for place in work.places() {
            let text = &opened[place.text()];
            let payload = &payloads[place.payload.clone()];
            assert!(text.starts_with(payload), "{:?}: other bytes", case.kernel);
        }

        group.throughput(Throughput::Bytes(work.payload_len() as u64));
        group.bench_function(case.id.clone(), |bench| {
            bench.iter_custom(|n| {
                (0..n)
                    .map(|_| time_open(&mut open, &mut opened, &sealed, RECORDS))
                    .sum()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, seal, open, steps::steps);

fn main() {
    eprintln!("auto is {}", common::chosen::kernel().name());
    benches();
    Criterion::default().configure_from_args().final_summary();
}
