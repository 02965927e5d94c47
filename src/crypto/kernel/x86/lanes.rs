//! Lanes: many records side by side. Each record has a lane, which takes the next record when one
//! ends.
//!
//! A lane advances in steps of 64 bytes, a block of SHA-256. A step encrypts its first blocks of 16
//! bytes, or none, and then hashes all 64 bytes. A record is a run of steps over its text, one or
//! two over its [`FinalBlocks`], and one for the outer hash. So sealing and checking are one walk,
//! and what is hashed is in the cache because it was just written. All lanes take as many steps at
//! once as the lane with the fewest left. A caller that gives the longest records first keeps the
//! lanes full to the end.
//!
//! An [`Engine`] knows how to take steps; this module knows over which bytes. Read next:
//! [`super::engine`].

use std::arch::x86_64::__m128i;
use std::{array, ptr};

use super::aesni::aes256::Schedule;
use super::engine::{Engine, LaneData, STEP, STEP_BLOCKS};
use super::final_blocks::{FinalBlocks, Plaintext, SHORT};
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
    /// Hashed as it is.
    Check(&'a [u8]),
    /// Encrypted, then hashed.
    Seal(Cipher<'a>, Plaintext<'a>, &'a mut [u8]),
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
    /// In the final blocks.
    Final,
    /// In the outer hash.
    Outer,
}

/// What a lane needs for the rest of its record.
struct Walk<'a> {
    phase: Phase,
    /// Where the encrypted final blocks go.
    last: &'a mut [u8],
    final_steps: i16,
    tag: &'a mut [u8; TAG],
}

/// The offset of a lane that is in its text.
const IN_TEXT: usize = usize::MAX;

/// The lanes of one batch.
struct Lanes<'e, 'a, E, const LANES: usize> {
    engine: &'e mut E,
    data: LaneData<'a, LANES>,
    /// Steps until the phase ends; a record has 256 at most. Every processor finds the least of
    /// this type quickly.
    left: [i16; LANES],
    /// Where in its final blocks a lane is, or [`IN_TEXT`].
    offset: [usize; LANES],
    walks: [Option<Walk<'a>>; LANES],
    finals: [FinalBlocks; LANES],
    active: usize,
    /// Whether all records are sealed, or all are checked.
    seals: bool,
}

/// Seals all `records`, or computes the tags of all of them. Lanes and engine erase themselves, and
/// what they left on the stack is overwritten.
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
    // The stack has round keys, states and plaintext that did not fit the registers. Overwriting
    // it takes as long as a record, so few records overwrite only what they use.
    let work_off = || lanes.work_off(&mut records);
    match (LANES, seals) {
        (1, false) => wiped::<768, _>(work_off),
        (1, true) => wiped::<1024, _>(work_off),
        (_, false) => wiped::<2048, _>(work_off),
        (_, true) => wiped::<4096, _>(work_off),
    }
}

impl<'e, 'a, E: Engine<LANES>, const LANES: usize> Lanes<'e, 'a, E, LANES> {
    fn new(engine: &'e mut E, seals: bool) -> Self {
        Self {
            engine,
            data: LaneData::new(),
            left: [i16::MAX; LANES],
            offset: [0; LANES],
            walks: array::from_fn(|_| None),
            finals: [FinalBlocks::EMPTY; LANES],
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
            // A lane without steps has ended. The highest is closed first, so that no ended lane
            // moves.
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
        self.aim_at_finals();
        // SAFETY: in its text a lane has `left` × `STEP` bytes at `from` and, to be sealed, at
        // `to`, as `start` has set them. They are borrowed for 'a: `to` mutably, so that nothing
        // else refers to it, and `from` is equal or borrowed elsewhere. In its final blocks, which
        // are its own, a lane has both, as many as `FinalBlocks::finish` has told. An idle lane and
        // one in its outer hash have a step there. Nothing touches them until this returns.
        unsafe {
            let seals = self.data.to_encrypt.iter().any(|&blocks| blocks > 0);
            self.engine
                .work(&mut self.data, self.active, least as usize, seals);
        }
        self.data.inner = 0;
        self.data.outer = 0;
        for lane in 0..self.active {
            self.left[lane] -= least;
            let blocks = &mut self.data.to_encrypt[lane];
            *blocks = blocks.saturating_sub(STEP_BLOCKS as u16 * least as u16);
            if self.offset[lane] != IN_TEXT {
                self.offset[lane] += STEP * least as usize;
            }
        }
    }

    /// Lets every lane that is past its text point to its final blocks.
    fn aim_at_finals(&mut self) {
        let finals = self.finals.as_mut_ptr().cast::<u8>();
        for lane in 0..LANES {
            let start = finals.wrapping_add(lane * size_of::<FinalBlocks>());
            if self.offset[lane] != IN_TEXT {
                self.data.to[lane] = start.wrapping_add(self.offset[lane]);
                self.data.from[lane] = self.data.to[lane];
            }
        }
    }

    /// Begins a record in a lane that has none.
    fn start(&mut self, lane: usize, record: Record<'a>) {
        assert_eq!(matches!(record.text, Text::Seal(..)), self.seals);
        let (len, whole, last) = match record.text {
            Text::Check(text) => {
                let (whole, rest) = text.split_at(whole_steps(text.len()));
                self.finals[lane].begin(rest);
                self.data.to_encrypt[lane] = 0;
                self.data.from[lane] = whole.as_ptr();
                (text.len(), whole.len(), &mut [][..])
            }
            Text::Seal(cipher, plain, text) => {
                let len = text.len();
                let (whole, rest) = text.split_at_mut(whole_steps(len));
                let copies = E::COPIES && !whole.is_empty() || plain.payload.len() < whole.len();
                if copies {
                    plain.put(whole);
                }
                // Only now: a write through another pointer invalidates this one.
                self.data.to[lane] = whole.as_mut_ptr();
                self.data.from[lane] = match copies {
                    true => self.data.to[lane],
                    false => plain.payload.as_ptr(),
                };
                self.finals[lane].begin_plain(&plain, whole.len());
                self.data.to_encrypt[lane] = (len / BLOCK) as u16;
                self.set_cipher(lane, cipher);
                (len, whole.len(), rest)
            }
        };
        self.data.stride[lane] = STEP;
        self.offset[lane] = IN_TEXT;
        self.left[lane] = i16::try_from(whole / STEP).expect("a record's steps");
        self.data.begin_hash(lane, record.mac);
        self.walks[lane] = Some(Walk {
            phase: Phase::Text,
            last,
            final_steps: self.finals[lane].finish(len - whole, len, record.sequence) as i16,
            tag: record.tag,
        });
        if whole == 0 {
            self.next_phase(lane);
        }
    }

    fn set_cipher(&mut self, lane: usize, cipher: Cipher<'a>) {
        self.data.chain[lane] = cipher.iv;
        let there = self.data.cipher[lane];
        if !there.is_some_and(|there| ptr::eq(there, cipher.keys)) {
            self.data.cipher[lane] = Some(cipher.keys);
            self.engine.set_cipher(lane, cipher.keys);
        }
    }

    /// Begins the next phase of the lane's record. False if there is none, and the tag is
    /// written.
    fn next_phase(&mut self, lane: usize) -> bool {
        let walk = self.walks[lane].as_mut().expect("the lane is active");
        self.offset[lane] = 0;
        match walk.phase {
            Phase::Text => {
                walk.phase = Phase::Final;
                self.left[lane] = walk.final_steps;
            }
            Phase::Final => {
                self.finals[lane].copy_to(walk.last);
                walk.phase = Phase::Outer;
                self.left[lane] = 1;
                self.data.outer |= 1 << lane;
            }
            Phase::Outer => {
                let state = self.data.state(lane);
                write_words(&state[..TAG / 4], &mut walk.tag[..]);
                return false;
            }
        }
        true
    }

    /// Takes a lane out of use. The last active lane moves into its place.
    fn close(&mut self, lane: usize) {
        self.active -= 1;
        let last = self.active;
        if lane != last {
            self.walks.swap(lane, last);
            self.finals.swap(lane, last);
            self.left[lane] = self.left[last];
            self.offset[lane] = self.offset[last];
            self.data.copy(last, lane);
            if let Some(cipher) = self.data.cipher[lane] {
                self.engine.set_cipher(lane, cipher);
            }
        }
        self.walks[last] = None;
        self.left[last] = i16::MAX;
        self.offset[last] = 0;
        self.data.stride[last] = 0;
        self.data.to_encrypt[last] = 0;
    }
}

/// How many bytes of a text of `len` are sealed or checked where they are.
fn whole_steps(len: usize) -> usize {
    if len > SHORT { len / STEP * STEP } else { 0 }
}
