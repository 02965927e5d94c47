//! Stands in for the classic format where the feature `classic` is off: types
//! without values, so that what handles a classic peer compiles to nothing.

use std::ops::Range;
use std::sync::Arc;

use crate::conn::{Outcome, StreamEnd};
use crate::error::Failure;
use crate::limits::BLOCK;
use crate::time::Time;

#[derive(Debug, Clone, Copy)]
enum Absent {}

/// Keys that cannot be made.
#[derive(Debug, Clone, Copy)]
pub struct ClassicKeys(Absent);

/// A connection that cannot be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClassicConnection(Absent);

/// A frame that cannot be opened.
pub(crate) struct Opened {
    pub(crate) used: usize,
    pub(crate) text: Range<usize>,
    pub(crate) last: bool,
}

/// Methods of a connection that cannot be made.
macro_rules! absent {
    ($($name:ident($($argument:ty),*) -> $result:ty;)*) => {
        impl ClassicConnection {
            pub(crate) fn new(keys: Arc<ClassicKeys>, _: usize, _: Time) -> Self {
                match keys.0 {}
            }

            pub(crate) fn next_line<'a>(&self, _: &'a [u8]) -> &'a [u8] {
                match self.0 {}
            }

            pub(crate) fn frame_began(self, _: Option<Time>) -> Self {
                match self.0 {}
            }

            $(pub(crate) fn $name(&self, $(_: $argument),*) -> $result {
                match self.0 {}
            })*
        }
    };
}

absent! {
    is_proved() -> bool;
    is_over() -> bool;
    outcome() -> Option<&Outcome>;
    heard(Time) -> ();
    open(Time, &mut [u8]) -> Option<Opened>;
    end_of_stream(StreamEnd) -> bool;
    cut_short() -> ();
    may_send() -> bool;
    frame() -> Option<&[u8]>;
    seal(&[u8], [u8; BLOCK]) -> usize;
    taken(usize) -> ();
    write_failed() -> ();
    finish() -> ();
    is_finishing() -> bool;
    take_shutdown(Time) -> bool;
    fail(Failure) -> ();
    poll_timeout() -> Option<Time>;
    handle_timeout(Time, bool) -> ();
    set_reading(Time, bool) -> ();
}
