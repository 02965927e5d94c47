//! Short records, such as those of chats: their text and all else that the MAC covers fit
//! [`FinalBlocks`].
//!
//! Each takes one step of SHA-256 or two, so none waits long for another. They go in groups of up
//! to eight, without the state that [`super::lanes`] keeps for each. It does not choose the
//! records. Read next: [`super`], which does.

use std::arch::x86_64::*;
use std::array;

use super::Keys;
use super::aesni::aes256::{self, AT_ONCE, ivs, load, store};
use super::engine::STEP;
use super::final_blocks::{FinalBlocks, Plaintext, SHORT};
use super::shani;
use super::shani::sha256::{State, Step};
use crate::crypto::cpu::AesNi;
use crate::crypto::kernel::mac::{PADDING, TRAILER};
use crate::crypto::kernel::{Checking, Sealing};
use crate::crypto::wipe::wiped;
use crate::limits::{BLOCK, TAG};

/// A record to seal or to check, which goes in a group if it is short.
pub(super) trait Grouped: Sized {
    /// Bytes of its text.
    fn len(&self) -> usize;

    /// Its keys.
    fn keys(&self) -> &Keys;

    /// Works on a group of at most `COUNT` records that take equally many steps.
    fn work<const COUNT: usize>(token: AesNi, group: &mut [Self]);
}

/// Seals or checks the short ones of `records`, which are sorted longest first. Returns the
/// others.
pub(super) fn work<R: Grouped>(token: AesNi, records: &mut [R]) -> &mut [R] {
    let first = records.partition_point(|record| record.len() > SHORT);
    let (others, records) = records.split_at_mut(first);
    // Each depth is the stack bytes in which that many records leave round keys, states and
    // plaintext. Overwriting 4 KiB takes longer than encrypting 64 bytes.
    match records.len() {
        0 => {}
        1 | 2 => wiped::<1280, _>(|| work_off(token, records)),
        _ => wiped::<4096, _>(|| work_off(token, records)),
    }
    others
}

fn work_off<R: Grouped>(token: AesNi, records: &mut [R]) {
    let steps = |record: &R| (record.len() + TRAILER + PADDING).div_ceil(STEP);
    for alike in records.chunk_by_mut(|one, next| steps(one) == steps(next)) {
        for group in alike.chunks_mut(AT_ONCE) {
            match group.len() {
                1 => R::work::<1>(token, group),
                2 => R::work::<2>(token, group),
                3 | 4 => R::work::<4>(token, group),
                5 | 6 => R::work::<6>(token, group),
                _ => R::work::<AT_ONCE>(token, group),
            }
        }
    }
}

impl Grouped for Checking<'_> {
    fn len(&self) -> usize {
        self.text.len()
    }

    fn keys(&self) -> &Keys {
        self.keys.x86()
    }

    // Not inlined, so that a small group does not use the stack of a large one.
    #[inline(never)]
    fn work<const COUNT: usize>(_: AesNi, group: &mut [Self]) {
        let mut buffers = [FinalBlocks::EMPTY; COUNT];
        let mut steps = 0;
        for (record, buffer) in group.iter().zip(&mut buffers) {
            buffer.begin(record.text);
            steps = buffer.finish(record.len(), record.len(), record.sequence);
        }
        let keys = array::from_fn(|i| member(group, i).keys());
        // SAFETY: the token proves the features.
        let tags = unsafe { tags(&keys, &buffers, steps) };
        for (record, tag) in group.iter_mut().zip(tags) {
            store(tag, record.tag);
        }
    }
}

impl Grouped for Sealing<'_> {
    fn len(&self) -> usize {
        self.body.len() - TAG
    }

    fn keys(&self) -> &Keys {
        self.keys.x86()
    }

    // Not inlined, as above.
    #[inline(never)]
    fn work<const COUNT: usize>(token: AesNi, group: &mut [Self]) {
        let mut buffers = [FinalBlocks::EMPTY; COUNT];
        let mut blocks = [0; COUNT];
        let mut steps = 0;
        for ((record, buffer), blocks) in group.iter().zip(&mut buffers).zip(&mut blocks) {
            let plain = Plaintext {
                payload: record.payload,
                kind: record.kind,
            };
            buffer.begin_plain(&plain, 0);
            steps = buffer.finish(record.len(), record.len(), record.sequence);
            *blocks = record.len() / BLOCK;
        }
        let keys = array::from_fn(|i| member(group, i).keys());
        let ivs = ivs(token, COUNT, |i| (&keys[i].iv, member(group, i).sequence));
        // SAFETY: the token proves the features.
        let tags = unsafe {
            encrypt(&keys, ivs, &blocks, &mut buffers);
            tags(&keys, &buffers, steps)
        };
        for ((record, buffer), tag) in group.iter_mut().zip(&buffers).zip(tags) {
            let (text, there) = record.body.split_last_chunk_mut().expect("a tag");
            buffer.copy_to(text);
            store(tag, there);
        }
    }
}

/// Member `i` of a group, or the last if there are fewer.
fn member<R>(group: &[R], i: usize) -> &R {
    &group[i.min(group.len() - 1)]
}

/// Encrypts `blocks` blocks of each record (CBC).
#[inline]
#[target_feature(enable = "aes,avx")]
fn encrypt<const COUNT: usize>(
    keys: &[&Keys; COUNT],
    mut chains: [__m128i; COUNT],
    blocks: &[usize; COUNT],
    buffers: &mut [FinalBlocks; COUNT],
) {
    let keys = keys.map(|keys| &keys.cipher);
    let most = blocks.iter().copied().fold(0, usize::max);
    for at in 0..most {
        let block = |buffer: &FinalBlocks| load(&buffer.0.as_chunks().0[at]);
        chains = array::from_fn(|i| _mm_xor_si128(chains[i], block(&buffers[i])));
        chains = aes256::encrypt(&keys, chains);
        for ((buffer, &chain), &blocks) in buffers.iter_mut().zip(&chains).zip(blocks) {
            if at < blocks {
                store(chain, &mut buffer.0.as_chunks_mut().0[at]);
            }
        }
    }
}

/// The tags over the first `steps` steps of each record.
///
/// # Safety
///
/// The processor has AVX, which `shani::hash` asks for beside the features here.
#[inline]
#[target_feature(enable = "sha,sse4.1")]
unsafe fn tags<const COUNT: usize>(
    keys: &[&Keys; COUNT],
    buffers: &[FinalBlocks; COUNT],
    steps: usize,
) -> [__m128i; COUNT] {
    assert!(steps * STEP <= size_of::<FinalBlocks>());
    let mut inner = keys.map(|keys| State::new(&keys.mac.inner));
    let mut texts = buffers.each_ref().map(|buffer| buffer.0.as_ptr());
    // SAFETY: the caller promises AVX; a buffer has `steps` steps, as asserted.
    unsafe { shani::hash(&mut inner, &mut texts, &[STEP; COUNT], steps) };
    let padded: [Step; COUNT] = inner.map(|state| state.padded());
    let mut outer = keys.map(|keys| State::new(&keys.mac.outer));
    let mut texts = padded.each_ref().map(|text| text.as_ptr().cast());
    // SAFETY: as above; a padded state is one step.
    unsafe { shani::hash(&mut outer, &mut texts, &[STEP; COUNT], 1) };
    outer.map(|state| state.bytes()[0])
}
