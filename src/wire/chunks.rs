//! Cutting a message into chunks that fit a record each.
//!
//! Joining is [`super::buffer::Assembly`]: every chunk but the last is full, so
//! a joined message is cut again at the same places.

use std::ops::Range;

use crate::limits::MAX_PAYLOAD;
use crate::wire::record::Kind;

/// The chunks of a message of `len` bytes, in order, each with its kind. An
/// empty message is one empty chunk.
pub fn cut(len: usize) -> impl Iterator<Item = (Range<usize>, Kind)> {
    let count = len.div_ceil(MAX_PAYLOAD).max(1);
    (0..count).map(move |i| {
        let start = i * MAX_PAYLOAD;
        let kind = if i + 1 == count {
            Kind::End
        } else {
            Kind::Part
        };
        (start..len.min(start + MAX_PAYLOAD), kind)
    })
}
