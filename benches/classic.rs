//! How fast classic frames are sealed and opened: 64 full frames, one after the
//! other, as the format has it.
//!
//! The IV is given, not drawn. Opening destroys its input; restoring it is not
//! timed.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sealwire::crypto::classic::ClassicKeys;
use sealwire::crypto::secret::{Secret, SecretPair};
use sealwire::limits::{BLOCK, CLASSIC_FRAME, CLASSIC_TEXT};
use sealwire::wire::classic::{LENGTH, LENGTH_TAG, TAG, TEXT, parse_length};

const FRAMES: usize = 64;
const LINE: &[u8; CLASSIC_TEXT] = b"fifteen letters";
const IV: [u8; BLOCK] = [7; BLOCK];
/// Where the second tag of a frame of ours starts.
const TEXT_TAG: usize = CLASSIC_FRAME - TAG;

fn keys() -> ClassicKeys {
    ClassicKeys::new(&SecretPair {
        confkey: Secret::new(vec![b'k'; 32]),
        authkey: Secret::new(vec![b'a'; 32]),
    })
}

fn seal_frames(keys: &ClassicKeys, frames: &mut [u8]) {
    for frame in frames.chunks_mut(CLASSIC_FRAME) {
        seal_frame(keys, frame);
    }
}

fn seal_frame(keys: &ClassicKeys, frame: &mut [u8]) {
    let (mut length, mut text) = ([0; BLOCK], [0; BLOCK]);
    keys.encrypt(&IV, b"15", &mut length);
    keys.encrypt(&length, LINE, &mut text);
    frame[..LENGTH].copy_from_slice(&IV);
    frame[LENGTH..LENGTH_TAG].copy_from_slice(&length);
    let tag = keys.tag(&frame[..LENGTH_TAG]);
    frame[LENGTH_TAG..TEXT].copy_from_slice(&tag);
    frame[TEXT..TEXT_TAG].copy_from_slice(&text);
    frame[TEXT_TAG..].copy_from_slice(&keys.tag(&text));
}

/// Says whether it opened.
fn open_frame(keys: &ClassicKeys, frame: &mut [u8]) -> bool {
    let (head, text) = frame.split_at_mut(TEXT);
    let (text, text_tag) = text.split_at_mut(TEXT_TAG - TEXT);
    let (head, head_tag) = head.split_at_mut(LENGTH_TAG);
    if !keys.holds(head, head_tag) || !keys.holds(text, text_tag) {
        return false;
    }
    let (iv, length) = head.split_at_mut(LENGTH);
    let mut chain = [0; BLOCK];
    chain.copy_from_slice(length);
    let iv = iv.first_chunk().expect("an IV");
    let length = keys.decrypt(iv, length).map(parse_length);
    let text = keys.decrypt(&chain, text);
    length == Some(Ok(CLASSIC_TEXT as u64)) && text == Some(LINE)
}

/// Times opening `sealed`, again and again.
fn time_open(keys: &ClassicKeys, iterations: u64, sealed: &[u8]) -> Duration {
    let mut frames = sealed.to_vec();
    let mut total = Duration::ZERO;
    for _ in 0..iterations {
        frames.copy_from_slice(sealed);
        let start = Instant::now();
        let opened = black_box(&mut frames)
            .chunks_mut(CLASSIC_FRAME)
            .map(|frame| open_frame(keys, frame))
            .filter(|&opened| opened)
            .count();
        total += start.elapsed();
        assert_eq!(opened, FRAMES);
    }
    total
}

fn classic(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("classic");
    group.throughput(Throughput::Bytes((FRAMES * CLASSIC_TEXT) as u64));
    let keys = keys();
    let mut sealed = vec![0; FRAMES * CLASSIC_FRAME];
    seal_frames(&keys, &mut sealed);
    group.bench_function(BenchmarkId::new("seal", CLASSIC_TEXT), |bench| {
        bench.iter(|| seal_frames(&keys, black_box(&mut sealed)));
    });
    group.bench_function(BenchmarkId::new("open", CLASSIC_TEXT), |bench| {
        bench.iter_custom(|iterations| time_open(&keys, iterations, &sealed));
    });
    group.finish();
}

criterion_group!(benches, classic);
criterion_main!(benches);
