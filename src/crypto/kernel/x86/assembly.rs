//! Macros that build assembly, for [`super::shani::sha256_pairs`] and
//! [`super::avx512::sha256_aes_cbc`].

/// One instruction.
macro_rules! ins {
    ($name:literal $first:expr $(, $more:expr)*) => {
        concat!($name, " ", $first $(, ", ", $more)*, "\n")
    };
}

/// Expands to no instruction, in place of a macro that expands to some.
macro_rules! nothing {
    ($($any:tt)*) => {
        ""
    };
}
