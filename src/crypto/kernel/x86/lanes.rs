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
use std::{array, mem, ptr};

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

/// The ciphertext of a record, in whole blocks.
pub(super) enum Text<'a> {
    /// Is there.
    Check(&'a [u8]),
    /// Is to be made.
    Seal(Plain<'a>, &'a mut [u8]),
}

impl Text<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Check(text) => text.len(),
            Self::Seal(_, text) => text.len(),
        }
    }
}

/// What ciphertext is made from: a payload, its kind, and zeros.
pub(super) struct Plain<'a> {
    pub(super) cipher: &'a Schedule,
    pub(super) iv: __m128i,
    pub(super) payload: &'a [u8],
    pub(super) kind: u8,
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
    /// Text that is enciphered where it is, behind what comes from the payload.
    in_place: &'a mut [u8],
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
    /// Steps until the phase ends; of active lanes.
    left: [usize; LANES],
    walks: [Option<Walk<'a>>; LANES],
    tails: [Tail; LANES],
    active: usize,
    records: PhantomData<&'a mut [u8]>,
}

/// Seals or checks all `records`: every tag is written, and of those to seal
/// the ciphertext.
pub(super) fn work<'a, E: Engine<LANES>, const LANES: usize>(
    engine: E,
    mut records: impl Iterator<Item = Record<'a>>,
) {
    let mut lanes = Lanes::new(engine);
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
    fn new(engine: E) -> Self {
        Self {
            engine,
            front: Front::new(),
            left: [0; LANES],
            walks: array::from_fn(|_| None),
            tails: [Tail([0; 2 * STEP]); LANES],
            active: 0,
            records: PhantomData,
        }
    }

    /// Takes all steps that every lane has left.
    fn run(&mut self) {
        let active = 0..self.active;
        let steps = self.left[active.clone()].iter().copied().min();
        let steps = steps.expect("a lane is active");
        assert!(steps > 0);
        self.aim_at_tails();
        // SAFETY: in its text a lane has `left` × `STEP` bytes, as `start` and
        // `next_phase` set it, borrowed for 'a and split off from all other
        // bytes; all others have one or, with no stride, any number of steps in
        // a tail of their own, which nobody touches until this returns.
        unsafe {
            if self.front.enciphered[active.clone()].iter().any(|&n| n > 0) {
                self.engine.seal(&mut self.front, self.active, steps);
            } else {
                self.engine.hash(&mut self.front, self.active, steps);
            }
        }
        self.front.inner = 0;
        self.front.outer = 0;
        for lane in active {
            let bytes = self.front.stride[lane] * steps;
            self.left[lane] -= steps;
            self.front.source[lane] = self.front.source[lane].wrapping_add(bytes);
            self.front.target[lane] = self.front.target[lane].wrapping_add(bytes);
        }
    }

    /// Points every lane that is not in a text to its tail.
    fn aim_at_tails(&mut self) {
        let walks = self.walks.iter();
        for ((lane, walk), tail) in walks.enumerate().zip(&mut self.tails) {
            let offset = match walk.as_ref().map(|walk| walk.phase) {
                Some(Phase::Text) => continue,
                Some(Phase::SecondTail) => STEP,
                Some(Phase::Tail | Phase::Outer) | None => 0,
            };
            let step = tail.0[offset..][..STEP].as_mut_ptr();
            self.front.source[lane] = step;
            self.front.target[lane] = step;
            self.front.stride[lane] = 0;
        }
    }

    /// Begins a record in a lane that has none.
    fn start(&mut self, lane: usize, record: Record<'a>) {
        let len = record.text.len();
        let (in_place, last) = match record.text {
            Text::Check(text) => self.start_check(lane, text),
            Text::Seal(plain, text) => self.start_seal(lane, plain, text),
        };
        let tail = &mut self.tails[lane].0;
        let (_, behind) = tail.split_at_mut(len % STEP);
        behind.fill(0);
        behind[..8].copy_from_slice(&record.sequence.to_be_bytes());
        behind[8..10].copy_from_slice(&((len / BLOCK) as u16).to_be_bytes());
        let tail_steps = finish(tail, len % STEP + 10, HASH_BLOCK + len + 10);
        self.front.begin_hash(lane, record.mac);
        self.walks[lane] = Some(Walk {
            phase: Phase::Text,
            in_place,
            last,
            tail_steps,
            tag: record.tag,
        });
        if self.left[lane] == 0 {
            self.next_phase(lane);
        }
    }

    /// Begins with the text, as far as it is whole steps.
    fn start_check(&mut self, lane: usize, text: &'a [u8]) -> (&'a mut [u8], &'a mut [u8]) {
        let (whole, rest) = text.split_at(text.len() / STEP * STEP);
        self.tails[lane].0[..rest.len()].copy_from_slice(rest);
        self.front.source[lane] = whole.as_ptr();
        self.front.stride[lane] = STEP;
        self.left[lane] = whole.len() / STEP;
        (&mut [], &mut [])
    }

    /// Begins with the payload, as far as it is whole steps.
    fn start_seal(
        &mut self,
        lane: usize,
        plain: Plain<'a>,
        text: &'a mut [u8],
    ) -> (&'a mut [u8], &'a mut [u8]) {
        let (direct, behind) = plain.payload.split_at(plain.payload.len() / STEP * STEP);
        let (target, rest) = text.split_at_mut(direct.len());
        let (in_place, last) = rest.split_at_mut(rest.len() / STEP * STEP);
        let end = &mut self.tails[lane].0[..last.len()];
        // What is behind the whole steps is less than one, so it ends in the first
        // that follows.
        if in_place.is_empty() {
            pad(end, behind, plain.kind);
        } else {
            pad(in_place, behind, plain.kind);
            end.fill(0);
        }
        if !self.front.cipher[lane].is_some_and(|last| ptr::eq(last, plain.cipher)) {
            self.engine.set_cipher(lane, plain.cipher);
            self.front.cipher[lane] = Some(plain.cipher);
        }
        self.front.chain[lane] = plain.iv;
        self.front.enciphered[lane] = STEP_BLOCKS as u8;
        self.front.source[lane] = direct.as_ptr();
        self.front.target[lane] = target.as_mut_ptr();
        self.front.stride[lane] = STEP;
        self.left[lane] = direct.len() / STEP;
        (in_place, last)
    }

    /// Goes on to what follows in the lane's record; false if that was all, and
    /// its tag is written.
    fn next_phase(&mut self, lane: usize) -> bool {
        let walk = self.walks[lane].as_mut().expect("the lane is active");
        let in_place = mem::take(&mut walk.in_place);
        self.left[lane] = 1;
        match walk.phase {
            Phase::Text if !in_place.is_empty() => {
                self.left[lane] = in_place.len() / STEP;
                self.front.target[lane] = in_place.as_mut_ptr();
                self.front.source[lane] = self.front.target[lane];
            }
            Phase::Text => {
                walk.phase = Phase::Tail;
                self.front.enciphered[lane] = (walk.last.len() / BLOCK) as u8;
            }
            Phase::Tail => {
                walk.last
                    .copy_from_slice(&self.tails[lane].0[..walk.last.len()]);
                self.front.enciphered[lane] = 0;
                if walk.tail_steps > 1 {
                    walk.phase = Phase::SecondTail;
                } else {
                    walk.phase = Phase::Outer;
                    self.front.outer |= 1 << lane;
                }
            }
            Phase::SecondTail => {
                walk.phase = Phase::Outer;
                self.front.outer |= 1 << lane;
            }
            Phase::Outer => {
                let state = self.front.state.map(|word| word[lane]);
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
            self.front.copy(last, lane);
            if let Some(cipher) = self.front.cipher[lane] {
                self.engine.set_cipher(lane, cipher);
            }
        }
        self.walks[last] = None;
        self.front.enciphered[last] = 0;
    }
}

/// `bytes`, the kind, and zeros to the end.
fn pad(text: &mut [u8], bytes: &[u8], kind: u8) {
    let (start, end) = text.split_at_mut(bytes.len());
    start.copy_from_slice(bytes);
    end.fill(0);
    end[0] = kind;
}
