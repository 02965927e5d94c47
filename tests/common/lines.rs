//! Lines to classic frames and back, through real connections.

use sealwire::Time;
use sealwire::classic::ClassicConnection;
use sealwire::limits::{BLOCK, CLASSIC_FRAME};

/// The frames in which `conn` sends `line`.
pub(crate) fn seal(conn: &mut ClassicConnection, line: &str, iv: [u8; BLOCK]) -> Vec<u8> {
    let (mut rest, mut frames) = (line.as_bytes(), Vec::new());
    while !rest.is_empty() {
        rest = &rest[conn.seal(rest, iv)..];
        let frame = conn.frame().unwrap();
        assert_eq!(frame.len(), CLASSIC_FRAME);
        frames.extend_from_slice(frame);
        conn.taken(CLASSIC_FRAME);
    }
    frames
}

/// What a connection has received.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) lines: Vec<String>,
    /// The beginning of a line.
    pub(crate) unfinished: String,
    /// Bytes of a frame that is not whole.
    pub(crate) left: usize,
}

/// Gives `conn` the bytes of `input` in pieces of these sizes, until it is over.
pub(crate) fn open(
    conn: &mut ClassicConnection,
    mut input: &[u8],
    sizes: impl IntoIterator<Item = usize>,
) -> Heard {
    let (mut heard, mut kept) = (Heard::default(), Vec::new());
    let mut sizes = sizes.into_iter();
    while !input.is_empty() && !conn.is_over() {
        let size = sizes.next().unwrap().min(input.len());
        kept.extend_from_slice(input.split_off(..size).unwrap());
        conn.heard(Time::ZERO);
        while let Some(opened) = conn.open(Time::ZERO, &mut kept) {
            heard.unfinished += str::from_utf8(&kept[opened.text]).unwrap();
            kept.drain(..opened.used);
            if opened.last {
                heard.lines.push(std::mem::take(&mut heard.unfinished));
            }
        }
    }
    heard.left = kept.len();
    heard
}
