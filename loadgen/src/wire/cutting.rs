//! Cutting a stream of bytes into messages that all have one size.
//!
//! A message is used where it lies. Only the first part of one whose rest has not
//! come is copied, to a buffer that its peer has until then.

use crate::limits::KEPT;

/// The first part of a message; nobody's buffer if there is none.
pub(crate) type Rest = Vec<u8>;

/// Buffers for the first parts of messages.
#[derive(Debug, Default)]
pub(crate) struct Spares(Vec<Rest>);

impl Spares {
    /// A buffer for messages of `size` bytes, with `bytes` in it.
    pub(crate) fn take(&mut self, size: usize, bytes: &[u8]) -> Rest {
        let mut rest = self.0.pop().unwrap_or_default();
        rest.reserve_exact(size);
        rest.extend_from_slice(bytes);
        rest
    }

    /// Takes a buffer back.
    pub(crate) fn give(&mut self, mut rest: Rest) {
        if self.0.len() < KEPT && rest.capacity() > 0 {
            rest.clear();
            self.0.push(rest);
        }
    }
}

/// Cuts `bytes`, which follow `rest`, into messages of `size` bytes. Has `message`
/// called for each, with its pieces, and returns what is left over.
pub(crate) fn cut(
    size: usize,
    mut rest: Rest,
    mut bytes: &[u8],
    spares: &mut Spares,
    mut message: impl FnMut(&[&[u8]]),
) -> Rest {
    if !rest.is_empty() {
        let Some((end, others)) = bytes.split_at_checked(size - rest.len()) else {
            rest.extend_from_slice(bytes);
            return rest;
        };
        message(&[&rest, end]);
        spares.give(rest);
        bytes = others;
    }
    let whole = bytes.chunks_exact(size);
    let left = whole.remainder();
    for bytes in whole {
        message(&[bytes]);
    }
    match left {
        [] => Rest::new(),
        _ => spares.take(size, left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: whatever the reads are, messages come whole and in order, and a peer
    /// between messages has no buffer. Method: two hundred bytes as messages of every
    /// size up to 50, read in pieces of every size up to 70.
    #[test]
    fn messages_are_put_together() {
        let stream: Vec<u8> = (0..200).collect();
        for size in 1..50 {
            for piece in 1..70 {
                let (mut spares, mut rest) = (Spares::default(), Rest::new());
                let mut seen = Vec::new();
                for bytes in stream.chunks(piece) {
                    rest = cut(size, rest, bytes, &mut spares, |parts| {
                        let message = parts.concat();
                        assert_eq!(message.len(), size);
                        seen.extend(message);
                    });
                    assert_eq!(rest.is_empty(), rest.capacity() == 0);
                }
                assert_eq!(seen, stream[..200 - 200 % size]);
                assert_eq!(rest, stream[200 - 200 % size..]);
            }
        }
    }
}
