//! The [`Kernel`] to use: the fastest, or one by name. Either must give right answers first.
//!
//! It does not read the environment: the program does (`cli::kernel`). Read next: `super::check`,
//! which checks a kernel.

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

    /// This kernel if it gives right answers, which is checked once per kernel and process.
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

    /// Goal: a kernel that this processor lacks, and one that gives wrong answers, are refused
    /// by their names; `tests/cli` asks for known and unknown names. Method: a processor that
    /// has `portable` alone, and the claim that an answer is wrong.
    #[test]
    fn lacking_and_wrong() {
        let portable = || [Kernel::PORTABLE].into_iter();
        assert_eq!(find("portable", portable()).unwrap().name(), "portable");
        for name in ["aesni", "avx512"] {
            let error = find(name, portable()).unwrap_err();
            assert_eq!(error, KernelError::Lacking(name));
        }
        for kernel in Kernel::all() {
            let error = kernel.trusted(false).unwrap_err();
            assert_eq!(error, KernelError::Wrong(kernel.name()));
        }
    }
}
