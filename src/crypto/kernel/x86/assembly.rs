//! How the parts of assembly are put together, for [`super::pairs`] and
//! [`super::stitch512`].

/// One instruction.
macro_rules! ins {
    ($name:literal $first:expr $(, $more:expr)*) => {
        concat!($name, " ", $first $(, ", ", $more)*, "\n")
    };
}

/// In place of what makes instructions.
macro_rules! nothing {
    ($($any:tt)*) => {
        ""
    };
}
