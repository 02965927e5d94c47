//! Reads an input as a script: bytes from the front, one choice after the other.
//!
//! A change to one choice leaves the others as they are, and an input that ends early is
//! still one. So inputs can be written by hand, and a fuzzer can change them bit by bit.

/// Choices that are still to be read.
pub(crate) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte; 0 behind the end.
    pub(crate) fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(crate) fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// A number below `end`, which is at most 256.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// The next `len` bytes, or as many as are left.
    pub(crate) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let len = len.min(self.0.len());
        self.0.split_off(..len).unwrap_or_default()
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Any bytes: short ones are in the script; of long ones, only the length and one byte.
    pub(crate) fn lump(&mut self) -> Vec<u8> {
        match self.byte() {
            short @ ..240 => self.bytes(short.into()).to_vec(),
            _ => {
                let len = usize::from(self.word() % LONGEST);
                let first = self.byte();
                (0..len).map(|n| first.wrapping_add(n as u8)).collect()
            }
        }
    }
}

/// Above the longest plaintext of a record, and of two of its payloads.
const LONGEST: u16 = 40_000;
