//! Lanes: many records side by side, each in a lane of its own, which takes the
//! next record when one ends.
//!
//! A lane goes in steps of 64 bytes, a block of SHA-256. In a step the first
//! blocks of 16 bytes, or none, are encrypted and then all 64 bytes are hashed.
//! A record is a run of steps over its text, one or two over the end of its text
//! and what its MAC covers beyond, and one for the outer hash. So sealing and
//! checking are one walk, and what is hashed is at hand because it was just
//! written. All lanes take as many steps at once as the one with the fewest
//! left; whoever gives the longest records first has the lanes full to the end.
//!
//! How steps are taken is known to an [`Engine`]; over which bytes, is known
//! here. Read next: [`super::front`].

use std::arch::x86_64::__m128i;
use std::{array, ptr};

use super::aes::Schedule;
use super::front::{Engine, Front, STEP, STEP_BLOCKS};
use super::tail::{Plain, SHORT, Tail};
use crate::crypto::kernel::mac::{MacKey, write_words};
use crate::crypto::wipe::wiped;
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
    /// To be encrypted.
    Seal(Cipher<'a>, Plain<'a>, &'a mut [u8]),
}

/// What encrypts a record.
pub(super) struct Cipher<'a> {
    pub(super) keys: &'a Schedule,
    pub(super) iv: __m128i,
}

/// Where a lane is in its record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// In its text.
    Text,
    /// In the tail.
    Tail,
    /// In the outer hash.
    Outer,
}

/// What a lane still needs to know of its record.
struct Walk<'a> {
    phase: Phase,
    /// Where the encrypted blocks of the tail go.
    last: &'a mut [u8],
    tail_steps: i16,
    tag: &'a mut [u8; TAG],
}

/// In place of an offset.
const IN_TEXT: usize = usize::MAX;

/// The lanes of one batch.
struct Lanes<'e, 'a, E, const LANES: usize> {
    engine: &'e mut E,
    front: Front<'a, LANES>,
    /// Steps until the phase ends. Of a type that any processor finds the least
    /// of quickly; the most of a record are 256.
    left: [i16; LANES],
    /// Where in its tail a lane is, or [`IN_TEXT`].
    offset: [usize; LANES],
    walks: [Option<Walk<'a>>; LANES],
    tails: [Tail; LANES],
    active: usize,
    /// Whether all records are to be sealed; else, none is.
    seals: bool,
}

/// Seals all `records`, or else checks all of them: every tag is written, and of
/// those to seal the ciphertext. Lanes and engine erase themselves, and overwrite what
/// they left on the stack.
///
/// # Panics
///
/// If a record is of the other kind.
pub(super) fn work<'a, E: Engine<LANES>, const LANES: usize>(
    engine: &mut E,
    seals: bool,
    mut records: impl Iterator<Item = Record<'a>>,
) {
    let mut lanes = Lanes::new(engine, seals);
    // Round keys, states and plaintext that did not fit the registers. For few records it
    // takes as long as a record, so no deeper than they go.
    let work_off = || lanes.work_off(&mut records);
    match (LANES, seals) {
        (1, _) => wiped::<768, _>(work_off),
        (_, false) => wiped::<2048, _>(work_off),
        (_, true) => wiped::<4096, _>(work_off),
    }
}

impl<'e, 'a, E: Engine<LANES>, const LANES: usize> Lanes<'e, 'a, E, LANES> {
    fn new(engine: &'e mut E, seals: bool) -> Self {
        Self {
            engine,
            front: Front::new(),
            left: [i16::MAX; LANES],
            offset: [0; LANES],
            walks: array::from_fn(|_| None),
            tails: [Tail::EMPTY; LANES],
            active: 0,
            seals,
        }
    }

    fn work_off(&mut self, records: &mut impl Iterator<Item = Record<'a>>) {
        for record in records.by_ref().take(LANES) {
            self.start(self.active, record);
            self.active += 1;
        }
        while self.active > 0 {
            self.run();
            for lane in 0..self.active {
                if self.left[lane] == 0
                    && !self.next_phase(lane)
                    && let Some(record) = records.next()
                {
                    self.start(lane, record);
                }
            }
            // Whoever has no steps now has ended. If all have, nobody looks at them any more:
            // closing 16 lanes is 1 to 2 % of what 64 bytes in each take.
            if self.left[..self.active].iter().all(|&left| left == 0) {
                return;
            }
            // The highest first, so that none of them is moved.
            for lane in (0..self.active).rev() {
                if self.left[lane] == 0 {
                    self.close(lane);
                }
            }
        }
    }

    /// Takes all steps that every lane has left.
    fn run(&mut self) {
        let least = self.left.iter().copied().fold(i16::MAX, i16::min);
        assert!((1..i16::MAX).contains(&least), "a lane is active");
        self.aim_at_tails();
        // SAFETY: in its text a lane has `left` × `STEP` bytes at `from` and, to be sealed, at
        // `to`, as `start` has set them, borrowed for 'a: `to` mutably, so that nothing else
        // refers to it, and `from` is the same or borrowed elsewhere. In its tail, which is
        // its own, both are there, and as many as `Tail::end` has told; an idle lane, and one
        // in its outer hash, have a step. Nobody touches the tails until this returns.
        unsafe {
            if self.front.to_encrypt.iter().any(|&blocks| blocks > 0) {
                self.engine
                    .seal(&mut self.front, self.active, least as usize);
            } else {
                self.engine
                    .hash(&mut self.front, self.active, least as usize);
            }
        }
        self.front.inner = 0;
        self.front.outer = 0;
        for lane in 0..self.active {
            self.left[lane] -= least;
            let blocks = &mut self.front.to_encrypt[lane];
            *blocks = blocks.saturating_sub(STEP_BLOCKS as u16 * least as u16);
            if self.offset[lane] != IN_TEXT {
                self.offset[lane] += STEP * least as usize;
            }
        }
    }

    /// Points every lane that is not in a text to its tail.
    fn aim_at_tails(&mut self) {
        let tails = self.tails.as_mut_ptr().cast::<u8>();
        for lane in 0..LANES {
            let tail = tails.wrapping_add(lane * size_of::<Tail>());
            if self.offset[lane] != IN_TEXT {
                self.front.to[lane] = tail.wrapping_add(self.offset[lane]);
                self.front.from[lane] = self.front.to[lane];
            }
        }
    }

    /// Begins a record in a lane that has none.
    fn start(&mut self, lane: usize, record: Record<'a>) {
        assert_eq!(matches!(record.text, Text::Seal(..)), self.seals);
        let (len, whole, last) = match record.text {
            Text::Check(text) => {
                let (whole, rest) = text.split_at(whole_steps(text.len()));
                self.tails[lane].begin(rest);
                self.front.to_encrypt[lane] = 0;
                self.front.from[lane] = whole.as_ptr();
                (text.len(), whole.len(), &mut [][..])
            }
            Text::Seal(cipher, plain, text) => {
                let len = text.len();
                let (whole, rest) = text.split_at_mut(whole_steps(len));
                let copies = E::COPIES && !whole.is_empty() || plain.payload.len() < whole.len();
                if copies {
                    plain.put(whole);
                }
                // Only now, as whoever writes through another pointer invalidates this one.
                self.front.to[lane] = whole.as_mut_ptr();
                self.front.from[lane] = match copies {
                    true => self.front.to[lane],
                    false => plain.payload.as_ptr(),
                };
                self.tails[lane].begin_plain(&plain, whole.len());
                self.front.to_encrypt[lane] = (len / BLOCK) as u16;
                self.set_cipher(lane, cipher);
                (len, whole.len(), rest)
            }
        };
        self.front.stride[lane] = STEP;
        self.offset[lane] = IN_TEXT;
        self.left[lane] = i16::try_from(whole / STEP).expect("a record's steps");
        self.front.begin_hash(lane, record.mac);
        self.walks[lane] = Some(Walk {
            phase: Phase::Text,
            last,
            tail_steps: self.tails[lane].end(len - whole, len, record.sequence) as i16,
            tag: record.tag,
        });
        if whole == 0 {
            self.next_phase(lane);
        }
    }

    fn set_cipher(&mut self, lane: usize, cipher: Cipher<'a>) {
        self.front.chain[lane] = cipher.iv;
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
        self.offset[lane] = 0;
        match walk.phase {
            Phase::Text => {
                walk.phase = Phase::Tail;
                self.left[lane] = walk.tail_steps;
            }
            Phase::Tail => {
                self.tails[lane].copy_to(walk.last);
                walk.phase = Phase::Outer;
                self.left[lane] = 1;
                self.front.outer |= 1 << lane;
            }
            Phase::Outer => {
                let state = self.front.state(lane);
                write_words(&state[..TAG / 4], &mut walk.tag[..]);
                return false;
            }
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
        self.front.to_encrypt[last] = 0;
    }
}

/// How much of a text of `len` bytes is worked on where it is.
fn whole_steps(len: usize) -> usize {
    if len > SHORT { len / STEP * STEP } else { 0 }
}
