//! Short records, as those of chats: their text, with all else that a MAC covers, fits a
//! [`Tail`].
//!
//! It takes one step of SHA-256 or two, so nobody waits long for another, and they go in
//! groups of up to eight without what [`super::lanes`] keeps in mind of each. Which records
//! go here: [`super`].

use std::arch::x86_64::*;
use std::array;

use super::Keys;
use super::aes::{self, IVS, ivs, load, store};
use super::front::{STEP, STEP_BLOCKS};
use super::one::compress;
use super::pairs::hash;
use super::sha::State;
use super::tail::{Plain, SHORT, Tail, steps_of_short};
use crate::crypto::cpu::AesNi;
use crate::crypto::kernel::{Checking, Sealing};
use crate::crypto::wipe::wiped;
use crate::limits::{BLOCK, TAG};

/// How many go together at most: as many chains of AES as take no longer than one ([`IVS`]).
const GROUP: usize = IVS;

/// A record that may be short.
pub(super) trait Short: Sized {
    /// Bytes of its text.
    fn len(&self) -> usize;

    /// Works on a group, of `COUNT` or fewer, each of which takes so many steps.
    fn work<const COUNT: usize>(token: AesNi, group: &mut [Self], steps: usize);
}

/// Works off those of `records` that are short, which lie behind the others, and among them
/// those of two steps in front. Returns the others.
pub(super) fn work<R: Short>(token: AesNi, records: &mut [R]) -> &mut [R] {
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

fn work_off<R: Short>(token: AesNi, records: &mut [R]) {
    let steps = |record: &R| steps_of_short(record.len());
    for alike in records.chunk_by_mut(|one, next| steps(one) == steps(next)) {
        let steps = steps(&alike[0]);
        for group in alike.chunks_mut(GROUP) {
            match group.len() {
                1 => R::work::<1>(token, group, steps),
                2 => R::work::<2>(token, group, steps),
                3 | 4 => R::work::<4>(token, group, steps),
                5 | 6 => R::work::<6>(token, group, steps),
                _ => R::work::<GROUP>(token, group, steps),
            }
        }
    }
}

impl Short for Checking<'_> {
    fn len(&self) -> usize {
        self.text.len()
    }

    #[inline(never)]
    fn work<const COUNT: usize>(_: AesNi, group: &mut [Self], steps: usize) {
        let mut tails = [Tail::EMPTY; COUNT];
        for (record, tail) in group.iter().zip(&mut tails) {
            tail.begin(record.text);
            tail.end(record.len(), record.len(), record.sequence);
        }
        let keys = array::from_fn(|i| member(group, i).keys.x86());
        // SAFETY: the token proves the features.
        let tags = unsafe { tags(&keys, &tails, steps) };
        for (record, tag) in group.iter_mut().zip(tags) {
            store(tag, record.tag);
        }
    }
}

impl Short for Sealing<'_> {
    fn len(&self) -> usize {
        self.body.len() - TAG
    }

    #[inline(never)]
    fn work<const COUNT: usize>(token: AesNi, group: &mut [Self], steps: usize) {
        let mut tails = [Tail::EMPTY; COUNT];
        let mut blocks = [0; COUNT];
        for ((record, tail), blocks) in group.iter().zip(&mut tails).zip(&mut blocks) {
            let plain = Plain {
                payload: record.payload,
                kind: record.kind,
            };
            tail.begin_plain(&plain, 0);
            tail.end(record.len(), record.len(), record.sequence);
            *blocks = record.len() / BLOCK;
        }
        let keys = array::from_fn(|i| member(group, i).keys.x86());
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
    let mut inner = keys.map(|keys| State::load(&keys.mac.inner));
    // SAFETY: a tail has so many steps.
    unsafe {
        hash_all(
            &mut inner,
            tails.each_ref().map(|tail| tail.0.as_ptr()),
            steps,
        )
    };
    let padded: [[__m128i; STEP_BLOCKS]; COUNT] = inner.map(|state| state.padded());
    let mut outer = keys.map(|keys| State::load(&keys.mac.outer));
    // SAFETY: what is padded is a step.
    unsafe {
        hash_all(
            &mut outer,
            padded.each_ref().map(|text| text.as_ptr().cast()),
            1,
        )
    };
    outer.map(|state| state.bytes()[0])
}

/// Hashes so many steps of each text.
///
/// # Safety
///
/// There are so many.
#[inline]
#[target_feature(enable = "sha,sse4.1,avx")]
unsafe fn hash_all<const COUNT: usize>(
    states: &mut [State; COUNT],
    texts: [*const u8; COUNT],
    steps: usize,
) {
    if let [state] = &mut states[..] {
        for step in 0..steps {
            let block = |i| texts[0].wrapping_add(step * STEP + i * BLOCK).cast();
            // SAFETY: the caller's promise.
            let words = array::from_fn(|i| unsafe { _mm_loadu_si128(block(i)) });
            *state = compress(*state, words);
        }
        return;
    }
    let mut texts = texts.map(|text| text.cast_mut());
    // SAFETY: the caller's promise; they are only read.
    unsafe { hash(states, &mut texts, &[STEP; COUNT], steps) };
}
