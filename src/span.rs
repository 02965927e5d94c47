//! Names for bytes: ranges that are handed around in place of borrows.
//!
//! A batch of records refers to bytes in several areas at once (what was read, what is
//! kept, what many receivers share), and it outlives the calls that filled it. So it
//! holds [`Span`]s, and the owner of the memory resolves them through [`Areas`]. `wire`
//! and `crypto` both use it.

use std::ops::Range;

/// One piece of memory. An implementation of [`Areas`] gives the numbers a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Area(pub u32);

impl Area {
    /// The area that one-connection users have: the caller's buffer.
    pub const ONLY: Self = Self(0);
}

/// A range of bytes in an area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// Where.
    pub area: Area,
    /// From which byte.
    pub offset: u32,
    /// How many bytes.
    pub len: u32,
}

impl Span {
    /// The bytes `range` of `area`.
    ///
    /// # Panics
    ///
    /// If the range does not fit 32 bits: no area is that large.
    pub fn new(area: Area, range: Range<usize>) -> Self {
        let fits = |n: usize| u32::try_from(n).expect("areas are below 4 GiB");
        Self {
            area,
            offset: fits(range.start),
            len: fits(range.len()),
        }
    }

    /// The range within the area.
    pub fn range(self) -> Range<usize> {
        self.offset as usize..self.offset as usize + self.len as usize
    }

    /// Where in the area it ends.
    pub fn end(self) -> usize {
        self.range().end
    }

    /// How many bytes.
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The part `range` of this span.
    pub fn slice(self, range: Range<usize>) -> Self {
        assert!(range.end <= self.len());
        let start = self.offset as usize;
        Self::new(self.area, start + range.start..start + range.end)
    }
}

/// Memory that spans can name.
pub trait Areas {
    /// All bytes of `area`.
    fn area(&self, area: Area) -> &[u8];
}

/// Memory that spans can name, to write to.
pub trait AreasMut: Areas {
    /// All bytes of `area`.
    fn area_mut(&mut self, area: Area) -> &mut [u8];
}

/// One area, whatever its number.
impl Areas for &mut [u8] {
    fn area(&self, _: Area) -> &[u8] {
        self
    }
}

/// One area, whatever its number.
impl AreasMut for &mut [u8] {
    fn area_mut(&mut self, _: Area) -> &mut [u8] {
        self
    }
}

/// One area, whatever its number.
impl Areas for Vec<u8> {
    fn area(&self, _: Area) -> &[u8] {
        self
    }
}

/// One area, whatever its number.
impl AreasMut for Vec<u8> {
    fn area_mut(&mut self, _: Area) -> &mut [u8] {
        self
    }
}

/// Areas 0 to N - 1.
impl<const N: usize> Areas for [&[u8]; N] {
    fn area(&self, area: Area) -> &[u8] {
        self[area.0 as usize]
    }
}
