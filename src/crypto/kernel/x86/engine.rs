//! The seam between lanes and engines: what an [`Engine`] sees of the lanes ([`LaneData`]), and
//! what it does with them. It does not know records. Read next: [`super::lanes`], which does.

use std::arch::x86_64::{__m128i, _mm_setzero_si128};
use std::{array, ptr};

use zeroize::optimization_barrier;

use super::aesni::aes256::Schedule;
use crate::crypto::kernel::mac::{HASH_BLOCK, MacKey};
use crate::limits::BLOCK;

/// Bytes of a step.
pub(super) const STEP: usize = HASH_BLOCK;
/// Blocks of the cipher in a step.
pub(super) const STEP_BLOCKS: usize = STEP / BLOCK;

/// Up to this many steps, encrypting one step beside the hash of another gains less than fetching
/// the code for it costs.
pub(super) const FEW_STEPS: usize = 2;

/// Takes steps in up to `LANES` lanes.
pub(super) trait Engine<const LANES: usize> {
    /// Whether payloads are first copied to the place where they are encrypted.
    const COPIES: bool;

    /// Prepares the keys of `cipher` for `lane`.
    fn set_cipher(&mut self, lane: usize, cipher: &Schedule);

    /// Hashes in lanes 0 to `active` - 1, and encrypts first if it `seals`. Otherwise no text
    /// changes.
    ///
    /// # Safety
    ///
    /// [`LaneData`]'s invariant holds for `steps` steps.
    unsafe fn work(
        &mut self,
        lanes: &mut LaneData<'_, LANES>,
        active: usize,
        steps: usize,
        seals: bool,
    );
}

/// What an engine sees of the lanes, field by field.
///
/// Invariant, for a run of some steps: every active lane has `STEP` × steps bytes at `from`. If
/// anything is encrypted, it has as many at `to`. They are replaced, and nothing else refers to
/// them: not even `from` of another lane, nor the lane's own `from` unless both are equal. Where
/// the stride is 0, `STEP` bytes are enough, and idle lanes have them too. A lane in `outer` is
/// in a run of one step.
pub(super) struct LaneData<'a, const LANES: usize> {
    /// What is encrypted or, if nothing is, hashed.
    pub(super) from: [*const u8; LANES],
    /// Where it is encrypted to, and hashed.
    pub(super) to: [*mut u8; LANES],
    /// By how much the engine advances both in a step; 0 in idle lanes.
    pub(super) stride: [usize; LANES],
    /// How many blocks are encrypted from here on. Blocks behind them are not.
    pub(super) to_encrypt: [u16; LANES],
    /// The last block of ciphertext, or the IV.
    pub(super) chain: [__m128i; LANES],
    pub(super) cipher: [Option<&'a Schedule>; LANES],
    mac: [Option<&'a MacKey>; LANES],
    /// SHA-256's state: its first word in every lane, its second, and so on.
    pub(super) state: Columns<LANES>,
    /// Bit by bit, the lanes that begin with the state in `inner_state`.
    pub(super) inner: u32,
    pub(super) inner_state: Columns<LANES>,
    /// Bit by bit, the lanes that hash their padded state of the step before instead of text,
    /// and begin with the state in `outer_state`.
    pub(super) outer: u32,
    pub(super) outer_state: Columns<LANES>,
}

/// Eight words of every lane, lane beside lane.
pub(super) type Columns<const LANES: usize> = [[u32; LANES]; 8];

impl<'a, const LANES: usize> LaneData<'a, LANES> {
    pub(super) fn new() -> Self {
        const { assert!(LANES <= u32::BITS as usize) };
        // SAFETY: SSE2 is on every x86-64.
        let zero = unsafe { _mm_setzero_si128() };
        Self {
            from: [ptr::null(); LANES],
            to: [ptr::null_mut(); LANES],
            stride: [0; LANES],
            to_encrypt: [0; LANES],
            chain: [zero; LANES],
            cipher: [None; LANES],
            mac: [None; LANES],
            state: [[0; LANES]; 8],
            inner: 0,
            inner_state: [[0; LANES]; 8],
            outer: 0,
            outer_state: [[0; LANES]; 8],
        }
    }

    /// Makes `lane` begin a hash under `mac`.
    pub(super) fn begin_hash(&mut self, lane: usize, mac: &'a MacKey) {
        self.inner |= 1 << lane;
        if self.mac[lane].is_some_and(|last| ptr::eq(last, mac)) {
            return;
        }
        self.mac[lane] = Some(mac);
        put(&mut self.inner_state, lane, &mac.inner);
        put(&mut self.outer_state, lane, &mac.outer);
    }

    /// Advances `count` lanes from `first` on by `steps` steps.
    #[inline(always)]
    pub(super) fn advance(&mut self, first: usize, count: usize, steps: usize) {
        let lanes = first..first + count;
        let texts = self.from[lanes.clone()]
            .iter_mut()
            .zip(&mut self.to[lanes.clone()]);
        for ((from, to), stride) in texts.zip(&self.stride[lanes]) {
            *from = from.wrapping_add(steps * stride);
            *to = to.wrapping_add(steps * stride);
        }
    }

    /// Where a step of `lane` is read.
    #[inline(always)]
    pub(super) fn here(&self, lane: usize, step: usize) -> *const u8 {
        self.from[lane].wrapping_add(step * self.stride[lane])
    }

    /// Where a step of `lane` is written.
    #[inline(always)]
    pub(super) fn there(&self, lane: usize, step: usize) -> *mut u8 {
        self.to[lane].wrapping_add(step * self.stride[lane])
    }

    /// The state that `lane` begins with.
    pub(super) fn begin_state(&self, lane: usize) -> [u32; 8] {
        let columns = if self.is_outer(lane) {
            &self.outer_state
        } else if self.inner >> lane & 1 == 1 {
            &self.inner_state
        } else {
            &self.state
        };
        take(columns, lane)
    }

    /// Whether `lane` hashes its state.
    pub(super) fn is_outer(&self, lane: usize) -> bool {
        self.outer >> lane & 1 == 1
    }

    /// The state that `lane` has reached.
    pub(super) fn state(&self, lane: usize) -> [u32; 8] {
        take(&self.state, lane)
    }

    pub(super) fn set_state(&mut self, lane: usize, state: [u32; 8]) {
        put(&mut self.state, lane, &state);
    }

    /// Makes lane `to` continue where lane `from` is.
    pub(super) fn copy(&mut self, from: usize, to: usize) {
        self.from[to] = self.from[from];
        self.to[to] = self.to[from];
        self.stride[to] = self.stride[from];
        self.to_encrypt[to] = self.to_encrypt[from];
        self.chain[to] = self.chain[from];
        self.cipher[to] = self.cipher[from];
        self.mac[to] = self.mac[from];
        for columns in [
            &mut self.state,
            &mut self.inner_state,
            &mut self.outer_state,
        ] {
            columns.iter_mut().for_each(|word| word[to] = word[from]);
        }
        for bits in [&mut self.inner, &mut self.outer] {
            *bits = *bits & !(1 << to) | (*bits >> from & 1) << to;
        }
    }
}

/// The states that come from a key are as secret as the key.
impl<const LANES: usize> Drop for LaneData<'_, LANES> {
    fn drop(&mut self) {
        let zero = [[0; LANES]; 8];
        erase(&mut self.inner_state, zero);
        erase(&mut self.outer_state, zero);
        erase(&mut self.state, zero);
    }
}

/// Overwrites a secret, even if no code reads it afterwards. `Zeroize` writes volatile words one
/// by one, which is slow for kilobytes.
pub(super) fn erase<T: Copy>(secret: &mut T, zero: T) {
    *secret = zero;
    optimization_barrier(secret);
}

/// A lane's words. (`map` would copy all columns first.)
fn take<const LANES: usize>(columns: &Columns<LANES>, lane: usize) -> [u32; 8] {
    array::from_fn(|word| columns[word][lane])
}

fn put<const LANES: usize>(columns: &mut Columns<LANES>, lane: usize, state: &[u32; 8]) {
    for (word, value) in columns.iter_mut().zip(state) {
        word[lane] = *value;
    }
}
