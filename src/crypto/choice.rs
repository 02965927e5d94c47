//! The [`Kernel`] to use: the fastest, or one by name. Either must give right answers first.
//!
//! The environment is not read here: the program does that (`cli::kernel`). What a kernel is
//! asked: `super::check`.

use std::sync::OnceLock;

use super::check;
use super::kernel::Kernel;

/// Why there is no kernel to use. No text repeats an unknown name: it may be a key that went
/// astray.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// No kernel has this name.
    #[error("no such kernel; there are {}", Kernel::NAMES.join(", "))]
    Unknown,
    /// This processor cannot run the kernel of this name.
    #[error("this processor lacks what the kernel {0} needs")]
    Lacking(&'static str),
    /// The kernel of this name does not give the bytes that it must.
    #[error("this processor gives wrong answers with the kernel {0}")]
    Wrong(&'static str),
}

impl Kernel {
    /// The fastest kernel that this processor has.
    ///
    /// # Errors
    ///
    /// [`KernelError::Wrong`]. The first call for each kernel checks it, in well under a
    /// millisecond; later calls give the same answer.
    pub fn fastest() -> Result<Self, KernelError> {
        let fastest = Self::all().last().unwrap_or(Self::PORTABLE);
        fastest.checked()
    }

    /// The kernel called `name`, one of [`Kernel::NAMES`].
    ///
    /// # Errors
    ///
    /// [`KernelError`], whose variants say what is wrong. The check is as for
    /// [`Kernel::fastest`].
    pub fn named(name: &str) -> Result<Self, KernelError> {
        find(name, Self::all())?.checked()
    }

    /// This kernel if it gives right answers, which is asked once per kernel and process.
    fn checked(self) -> Result<Self, KernelError> {
        static RIGHT: [OnceLock<bool>; Kernel::NAMES.len()] =
            [const { OnceLock::new() }; Kernel::NAMES.len()];
        let index = Self::NAMES.iter().position(|name| *name == self.name());
        let right = &RIGHT[index.expect("every kernel has a name")];
        self.trusted(*right.get_or_init(|| check::gives_right_answers(self)))
    }

    fn trusted(self, is_right: bool) -> Result<Self, KernelError> {
        match is_right {
            true => Ok(self),
            false => Err(KernelError::Wrong(self.name())),
        }
    }
}

/// The kernel called `name` among those that a processor has.
fn find(name: &str, mut kernels: impl Iterator<Item = Kernel>) -> Result<Kernel, KernelError> {
    let known = Kernel::NAMES.into_iter().find(|known| name == *known);
    let known = known.ok_or(KernelError::Unknown)?;
    let found = kernels.find(|kernel| kernel.name() == known);
    found.ok_or(KernelError::Lacking(known))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Goal: each kernel of this processor is found by its name, and refused by it where its
    /// answers are wrong; the last is the fastest. Method: ask for all of them; what the
    /// check itself notices is tested with it.
    #[test]
    fn by_name_or_the_fastest() {
        for kernel in Kernel::all() {
            assert_eq!(Kernel::named(kernel.name()).unwrap().name(), kernel.name());
            let error = kernel.trusted(false).unwrap_err();
            assert_eq!(error, KernelError::Wrong(kernel.name()));
        }
        let fastest = Kernel::all().last().unwrap().name();
        assert_eq!(Kernel::fastest().unwrap().name(), fastest);
    }

    /// Goal: an unknown name and a kernel that this processor lacks are told apart, and no
    /// text repeats an unknown name. Method: a processor that has `portable` alone.
    #[test]
    fn unknown_and_lacking() {
        let portable = || [Kernel::PORTABLE].into_iter();
        assert_eq!(find("portable", portable()).unwrap().name(), "portable");
        for name in ["aesni", "avx512"] {
            let error = find(name, portable()).unwrap_err();
            assert_eq!(error, KernelError::Lacking(name));
        }
        for name in ["deadbeef", "AVX512", "portable ", ""] {
            let error = find(name, Kernel::all()).unwrap_err();
            assert_eq!(error, KernelError::Unknown);
            let text = "no such kernel; there are portable, aesni, avx512";
            assert_eq!(error.to_string(), text);
        }
    }
}
