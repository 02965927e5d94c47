//! Lanes: many records side by side, each in a lane of its own, which takes the
//! next record when one ends.
//!
//! A lane goes in steps of 64 bytes, a block of SHA-256. In a step the first
//! blocks of 16 bytes, or none, are enciphered and then all 64 bytes are hashed.
//! A record is a run of steps over its text, one or two over the end of its text
//! and what its MAC covers beyond, and one for the outer hash. So sealing and
//! checking are one walk, and what is hashed is at hand because it was just
//! written. All lanes take as many steps at once as the one with the fewest
//! left; whoever gives the longest records first has the lanes full to the end.
//!
//! How steps are taken is known to an [`Engine`]; over which bytes, is known
//! here. Read next: [`super::front`].

use std::arch::x86_64::__m128i;
use std::marker::PhantomData;
use std::{array, ptr};

use super::aes::Schedule;
use super::front::{Engine, Front, STEP, STEP_BLOCKS};
use crate::crypto::kernel::portable::{HASH_BLOCK, MacKey, finish, write_words};
use crate::limits::{BLOCK, TAG};

/// A record to seal or to check.
pub(super) struct Record<'a> {
    pub(super) text: Text<'a>,
    pub(super) mac: &'a MacKey,
    pub(super) sequence: u64,
    /// Where the tag goes.
    pub(super) tag: &'a mut [u8; TAG],
}

/// A record's text, in whole blocks.
pub(super) enum Text<'a> {
    /// To be hashed as it is.
    Check(&'a [u8]),
    /// To be enciphered in place.
    Seal(Cipher<'a>, &'a mut [u8]),
}

/// What enciphers a record.
pub(super) struct Cipher<'a> {
    pub(super) keys: &'a Schedule,
    pub(super) iv: __m128i,
}

/// Where a lane is in its record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// In its text.
    Text,
    /// In the first, or only, step of the tail.
    Tail,
    /// In the second step of the tail.
    SecondTail,
    /// In the outer hash.
    Outer,
}

/// What a lane still needs to know of its record.
struct Walk<'a> {
    phase: Phase,
    /// Where the enciphered blocks of the tail go.
    last: &'a mut [u8],
    tail_steps: usize,
    tag: &'a mut [u8; TAG],
}

/// The end of what a record's MAC covers.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Tail([u8; 2 * STEP]);

/// The lanes of one batch.
struct Lanes<'a, E, const LANES: usize> {
    engine: E,
    front: Front<'a, LANES>,
    /// Steps until the phase ends. Of a type that any processor finds the least
    /// of quickly; the most of a record are 256.
    left: [i16; LANES],
    /// Where in its tail a lane is whose stride is 0.
    offset: [usize; LANES],
    walks: [Option<Walk<'a>>; LANES],
    tails: [Tail; LANES],
    active: usize,
    /// Whether all records are to be sealed; else, none is.
    seals: bool,
    records: PhantomData<&'a mut [u8]>,
}

/// Seals all `records`, or else checks all of them: every tag is written, and of
/// those to seal the ciphertext.
///
/// # Panics
///
/// If a record is of the other kind.
pub(super) fn work<'a, E: Engine<LANES>, const LANES: usize>(
    engine: E,
    seals: bool,
    mut records: impl Iterator<Item = Record<'a>>,
) {
    let mut lanes = Lanes::new(engine, seals);
    for record in records.by_ref().take(LANES) {
        lanes.start(lanes.active, record);
        lanes.active += 1;
    }
    while lanes.active > 0 {
        lanes.run();
        for lane in (0..lanes.active).rev() {
            if lanes.left[lane] > 0 || lanes.next_phase(lane) {
                continue;
            }
            match records.next() {
                Some(record) => lanes.start(lane, record),
                None => lanes.close(lane),
            }
        }
    }
}

impl<'a, E: Engine<LANES>, const LANES: usize> Lanes<'a, E, LANES> {
    fn new(engine: E, seals: bool) -> Self {
        Self {
            engine,
            front: Front::new(),
            left: [i16::MAX; LANES],
            offset: [0; LANES],
            walks: array::from_fn(|_| None),
            tails: [Tail([0; 2 * STEP]); LANES],
            active: 0,
            seals,
            records: PhantomData,
        }
    }

    /// Takes all steps that every lane has left.
    fn run(&mut self) {
        let least = self.left.iter().copied().fold(i16::MAX, i16::min);
        assert!((1..i16::MAX).contains(&least), "a lane is active");
        self.aim_at_tails();
        // SAFETY: in its text a lane has `left` × `STEP` bytes, as `start` has set
        // it, borrowed for 'a, and mutably if all are to be sealed. All others,
        // with no stride, have a step in a tail of their own, which nobody touches
        // until this returns.
        unsafe {
            if self.front.enciphered.iter().any(|&blocks| blocks > 0) {
                self.engine
                    .seal(&mut self.front, self.active, least as usize);
            } else {
                self.engine
                    .hash(&mut self.front, self.active, least as usize);
            }
        }
        self.front.inner = 0;
        self.front.outer = 0;
        for left in &mut self.left[..self.active] {
            *left -= least;
        }
    }

    /// Points every lane that is not in a text to its tail.
    fn aim_at_tails(&mut self) {
        let tails = self.tails.as_mut_ptr().cast::<u8>();
        for lane in 0..LANES {
            let tail = tails.wrapping_add(lane * size_of::<Tail>() + self.offset[lane]);
            if self.front.stride[lane] == 0 {
                self.front.text[lane] = tail;
            }
        }
    }

    /// Begins a record in a lane that has none.
    fn start(&mut self, lane: usize, record: Record<'a>) {
        assert_eq!(matches!(record.text, Text::Seal(..)), self.seals);
        let (len, last) = match record.text {
            Text::Check(text) => {
                self.front.enciphered[lane] = 0;
                let (whole, rest) = text.split_at(text.len() / STEP * STEP);
                self.tails[lane].begin(rest);
                self.front.text[lane] = whole.as_ptr().cast_mut();
                (text.len(), &mut [][..])
            }
            Text::Seal(cipher, text) => {
                self.set_cipher(lane, cipher);
                let len = text.len();
                let (whole, rest) = text.split_at_mut(len / STEP * STEP);
                self.tails[lane].begin(rest);
                self.front.text[lane] = whole.as_mut_ptr();
                (len, rest)
            }
        };
        self.front.stride[lane] = STEP;
        self.left[lane] = (len / STEP) as i16;
        self.front.begin_hash(lane, record.mac);
        self.walks[lane] = Some(Walk {
            phase: Phase::Text,
            last,
            tail_steps: self.tails[lane].end(len, record.sequence),
            tag: record.tag,
        });
        if self.left[lane] == 0 {
            self.next_phase(lane);
        }
    }

    fn set_cipher(&mut self, lane: usize, cipher: Cipher<'a>) {
        self.front.chain[lane] = cipher.iv;
        self.front.enciphered[lane] = STEP_BLOCKS as u8;
        let there = self.front.cipher[lane];
        if !there.is_some_and(|there| ptr::eq(there, cipher.keys)) {
            self.front.cipher[lane] = Some(cipher.keys);
            self.engine.set_cipher(lane, cipher.keys);
        }
    }

    /// Goes on to what follows in the lane's record; false if that was all, and
    /// its tag is written.
    fn next_phase(&mut self, lane: usize) -> bool {
        let walk = self.walks[lane].as_mut().expect("the lane is active");
        self.left[lane] = 1;
        walk.phase = match walk.phase {
            Phase::Text => {
                self.front.stride[lane] = 0;
                self.offset[lane] = 0;
                self.front.enciphered[lane] = (walk.last.len() / BLOCK) as u8;
                Phase::Tail
            }
            Phase::Tail => {
                self.front.enciphered[lane] = 0;
                copy_blocks(&self.tails[lane].0, walk.last);
                if walk.tail_steps > 1 {
                    self.offset[lane] = STEP;
                    Phase::SecondTail
                } else {
                    Phase::Outer
                }
            }
            Phase::SecondTail => Phase::Outer,
            Phase::Outer => {
                let state = self.front.state.map(|word| word[lane]);
                write_words(&state[..TAG / 4], &mut walk.tag[..]);
                return false;
            }
        };
        if walk.phase == Phase::Outer {
            self.front.outer |= 1 << lane;
        }
        true
    }

    /// Takes a lane out of use: the last active one moves into its place.
    fn close(&mut self, lane: usize) {
        self.active -= 1;
        let last = self.active;
        if lane != last {
            self.walks.swap(lane, last);
            self.tails.swap(lane, last);
            self.left[lane] = self.left[last];
            self.offset[lane] = self.offset[last];
            self.front.copy(last, lane);
            if let Some(cipher) = self.front.cipher[lane] {
                self.engine.set_cipher(lane, cipher);
            }
        }
        self.walks[last] = None;
        self.left[last] = i16::MAX;
        self.offset[last] = 0;
        self.front.stride[last] = 0;
        self.front.enciphered[last] = 0;
    }
}

impl Tail {
    /// Begins with the end of a text: less than a step.
    fn begin(&mut self, text: &[u8]) {
        self.0 = [0; 2 * STEP];
        copy_blocks(text, &mut self.0);
    }

    /// Puts behind the end of a text of `len` bytes what else its MAC covers, and
    /// the padding; says how many steps that makes.
    fn end(&mut self, len: usize, sequence: u64) -> usize {
        let end = len % STEP;
        let behind = &mut self.0[end..];
        behind[..8].copy_from_slice(&sequence.to_be_bytes());
        behind[8..10].copy_from_slice(&((len / BLOCK) as u16).to_be_bytes());
        finish(&mut self.0, end + 10, HASH_BLOCK + len + 10)
    }
}

/// Copies as many blocks as both have.
fn copy_blocks(from: &[u8], to: &mut [u8]) {
    let (from, to) = (from.as_chunks::<BLOCK>().0, to.as_chunks_mut().0);
    for (from, to) in from.iter().zip(to) {
        *to = *from;
    }
}
