//! Which [`Kernel`] is used: the fastest there is, or the one that the user
//! names; either only once it has given right answers.
//!
//! What it is asked is `super::check`. What it then does is known to the batches
//! of the stores that it is named to ([`super::keys`]).

use std::ffi::OsString;
use std::sync::OnceLock;

use super::check;
use super::kernel::Kernel;

/// The environment variable that names the kernel to use.
const VARIABLE: &str = "SEALWIRE_KERNEL";

/// Why there is no kernel to use. No text shows what the variable holds: it may
/// be a key that went astray.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// The variable names none.
    #[error("{VARIABLE}: no such kernel; there are {}", Kernel::NAMES.join(", "))]
    Unknown,
    /// The variable names one that this processor cannot run.
    #[error("{VARIABLE}={0}: this processor lacks what it needs; unset it to use what there is")]
    Lacking(&'static str),
    /// It does not give the bytes that it must.
    #[error("this processor gives wrong answers with the kernel {0}{hint}", hint = instead(.0))]
    Wrong(&'static str),
}

/// What to try where the kernel of this name gives wrong answers.
fn instead(name: &str) -> String {
    match name == Kernel::PORTABLE.name() {
        true => String::new(),
        false => format!("; try {VARIABLE}={}", Kernel::PORTABLE.name()),
    }
}

impl Kernel {
    /// The one that `SEALWIRE_KERNEL` names, or the fastest there is. Looks and
    /// checks it once, in well under a millisecond, and gives the same answer ever
    /// after.
    pub fn chosen() -> Result<Self, KernelError> {
        static CHOSEN: OnceLock<Result<Kernel, KernelError>> = OnceLock::new();
        let choose = || {
            let name = std::env::var_os(VARIABLE);
            choose(name, Kernel::all(), check::gives_right_answers)
        };
        *CHOSEN.get_or_init(choose)
    }
}

/// The one of `kernels` that is called `name`, or without a name the last,
/// provided that `is_right` says so.
fn choose(
    name: Option<OsString>,
    mut kernels: impl Iterator<Item = Kernel>,
    is_right: impl Fn(Kernel) -> bool,
) -> Result<Kernel, KernelError> {
    let kernel = match name.filter(|name| !name.is_empty()) {
        None => kernels.last().unwrap_or(Kernel::PORTABLE),
        Some(name) => {
            let known = Kernel::NAMES.into_iter().find(|known| name == *known);
            let known = known.ok_or(KernelError::Unknown)?;
            let found = kernels.find(|kernel| kernel.name() == known);
            found.ok_or(KernelError::Lacking(known))?
        }
    };
    match is_right(kernel) {
        true => Ok(kernel),
        false => Err(KernelError::Wrong(kernel.name())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// What comes of `SEALWIRE_KERNEL=name` where there are these kernels.
    fn chosen(
        name: &str,
        kernels: impl Iterator<Item = Kernel>,
    ) -> Result<&'static str, KernelError> {
        let name = Some(name.into());
        choose(name, kernels, |_| true).map(Kernel::name)
    }

    /// Goal: each kernel that this processor has can be forced, under a name
    /// that the texts list; unnamed it is the fastest, and an empty variable is
    /// none.
    #[test]
    fn by_name_or_the_fastest() {
        let fastest = Kernel::all().last().unwrap().name();
        assert_eq!(chosen("", Kernel::all()), Ok(fastest));
        let unnamed = choose(None, Kernel::all(), |_| true).unwrap();
        assert_eq!(unnamed.name(), fastest);
        for kernel in Kernel::all() {
            assert!(Kernel::NAMES.contains(&kernel.name()));
            assert_eq!(chosen(kernel.name(), Kernel::all()), Ok(kernel.name()));
        }
    }

    /// Goal: a name that there is not, and one that this processor lacks, are
    /// told apart, and are the user's to mend. Method: a processor that has
    /// `portable` alone.
    #[test]
    fn unknown_and_lacking() {
        let alone = || [Kernel::PORTABLE].into_iter();
        assert_eq!(chosen("portable", alone()), Ok("portable"));
        assert_eq!(chosen("", alone()), Ok("portable"));
        for name in ["aesni", "avx512"] {
            let error = chosen(name, alone()).unwrap_err();
            assert_eq!(error, KernelError::Lacking(name));
            let text = error.to_string();
            assert!(text.starts_with(&format!("SEALWIRE_KERNEL={name}: this processor lacks")));
        }
        for name in ["deadbeef", "AVX512", "portable "] {
            let error = chosen(name, Kernel::all()).unwrap_err();
            assert_eq!(error, KernelError::Unknown);
            let text = error.to_string();
            assert!(
                text.ends_with("there are portable, aesni, avx512"),
                "{text}"
            );
            assert!(!text.contains(name), "{text}");
        }
    }

    /// Goal: a kernel that gives wrong answers is not used, named or not; it is
    /// this machine's fault, and another is offered if there is one. Method: a
    /// check that holds for none.
    #[test]
    fn wrong_answers() {
        for kernel in Kernel::all() {
            let name = kernel.name();
            for named in [None, Some(name.into())] {
                let kernels = Kernel::all().take_while(|k| k.name() != name);
                let error = choose(named, kernels.chain([kernel]), |_| false).unwrap_err();
                assert_eq!(error, KernelError::Wrong(name));
                let offered = error
                    .to_string()
                    .ends_with("; try SEALWIRE_KERNEL=portable");
                assert_eq!(offered, name != "portable", "{error}");
            }
        }
    }
}
