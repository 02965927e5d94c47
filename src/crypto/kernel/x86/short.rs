//! Short records, as those of chats: their text, with all else that a MAC covers, fits a
//! [`Tail`].
//!
//! It takes one step of SHA-256 or two, so nobody waits long for another, and they go in
//! groups of up to eight without what [`super::lanes`] keeps in mind of each. Which records
//! go here: [`super`].

use std::arch::x86_64::*;
use std::array;

use super::Keys;
use super::aes::{self, AT_ONCE, ivs, load, store};
use super::front::STEP;
use super::pairs::hash;
use super::sha::{State, Step, compress};
use super::tail::{Plain, SHORT, Tail};
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

    /// Works on a group, of `COUNT` or fewer, all of which take as many steps.
    fn work<const COUNT: usize>(token: AesNi, group: &mut [Self]);
}

/// Works off those of `records`, the longest first, that are short. Returns the others.
pub(super) fn work<R: Grouped>(token: AesNi, records: &mut [R]) -> &mut [R] {
    let first = records.partition_point(|record| record.len() > SHORT);
    let (others, records) = records.split_at_mut(first);
    // As deep as so many leave round keys, states and plaintext on the stack. Overwriting
    // 4 KiB takes longer than 64 bytes take to encrypt.
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

    // Not inlined, so that a small group does not go as deep as a large one.
    #[inline(never)]
    fn work<const COUNT: usize>(_: AesNi, group: &mut [Self]) {
        let mut tails = [Tail::EMPTY; COUNT];
        let mut steps = 0;
        for (record, tail) in group.iter().zip(&mut tails) {
            tail.begin(record.text);
            steps = tail.end(record.len(), record.len(), record.sequence);
        }
        let keys = array::from_fn(|i| member(group, i).keys());
        // SAFETY: the token proves the features.
        let tags = unsafe { tags(&keys, &tails, steps) };
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

    // Likewise.
    #[inline(never)]
    fn work<const COUNT: usize>(token: AesNi, group: &mut [Self]) {
        let mut tails = [Tail::EMPTY; COUNT];
        let mut blocks = [0; COUNT];
        let mut steps = 0;
        for ((record, tail), blocks) in group.iter().zip(&mut tails).zip(&mut blocks) {
            let plain = Plain {
                payload: record.payload,
                kind: record.kind,
            };
            tail.begin_plain(&plain, 0);
            steps = tail.end(record.len(), record.len(), record.sequence);
            *blocks = record.len() / BLOCK;
        }
        let keys = array::from_fn(|i| member(group, i).keys());
        let ivs = ivs(token, COUNT, |i| (&keys[i].iv, member(group, i).sequence));
        // SAFETY: the token proves the features.
        let tags = unsafe {
            encrypt(&keys, ivs, &blocks, &mut tails);
            tags(&keys, &tails, steps)
        };
        for ((record, tail), tag) in group.iter_mut().zip(&tails).zip(tags) {
            let (text, there) = record.body.split_last_chunk_mut().expect("a tag");
            tail.copy_to(text);
            store(tag, there);
        }
    }
}

/// Member `i` of a group; where there are fewer, the last.
fn member<R>(group: &[R], i: usize) -> &R {
    &group[i.min(group.len() - 1)]
}

/// Encrypts so many blocks of each tail (CBC).
#[inline]
#[target_feature(enable = "aes,avx")]
fn encrypt<const COUNT: usize>(
    keys: &[&Keys; COUNT],
    mut chains: [__m128i; COUNT],
    blocks: &[usize; COUNT],
    tails: &mut [Tail; COUNT],
) {
    let keys = keys.map(|keys| &keys.cipher);
    let most = blocks.iter().copied().fold(0, usize::max);
    for at in 0..most {
        let block = |tail: &Tail| load(&tail.0.as_chunks().0[at]);
        chains = array::from_fn(|i| _mm_xor_si128(chains[i], block(&tails[i])));
        chains = aes::encrypt(&keys, chains);
        for ((tail, &chain), &blocks) in tails.iter_mut().zip(&chains).zip(blocks) {
            if at < blocks {
                store(chain, &mut tail.0.as_chunks_mut().0[at]);
            }
        }
    }
}

/// The tags of what is in so many steps of each tail.
#[inline]
#[target_feature(enable = "sha,sse4.1,avx")]
fn tags<const COUNT: usize>(
    keys: &[&Keys; COUNT],
    tails: &[Tail; COUNT],
    steps: usize,
) -> [__m128i; COUNT] {
    assert!(steps * STEP <= size_of::<Tail>());
    let mut inner = keys.map(|keys| State::new(&keys.mac.inner));
    let texts = tails.each_ref().map(|tail| tail.0.as_ptr());
    // SAFETY: a tail has so many steps.
    unsafe { hash_all(&mut inner, texts, steps) };
    let padded: [Step; COUNT] = inner.map(|state| state.padded());
    let mut outer = keys.map(|keys| State::new(&keys.mac.outer));
    let texts = padded.each_ref().map(|text| text.as_ptr().cast());
    // SAFETY: what is padded is a step.
    unsafe { hash_all(&mut outer, texts, 1) };
    outer.map(|state| state.bytes()[0])
}

/// Hashes so many steps of each text. A lone one is no pair, which would take a tenth longer.
///
/// # Safety
///
/// There are so many.
#[inline]
#[target_feature(enable = "sha,sse4.1,avx")]
unsafe fn hash_all<const COUNT: usize>(
    states: &mut [State; COUNT],
    mut texts: [*const u8; COUNT],
    steps: usize,
) {
    let [state] = &mut states[..] else {
        // SAFETY: the caller's promise.
        return unsafe { hash(states, &mut texts, &[STEP; COUNT], steps) };
    };
    for step in 0..steps {
        let block = |i| texts[0].wrapping_add(step * STEP + i * BLOCK).cast();
        // SAFETY: the caller's promise.
        let words = array::from_fn(|i| unsafe { _mm_loadu_si128(block(i)) });
        *state = compress(*state, words);
    }
}
