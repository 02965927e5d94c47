//! The kernel that the user wants: `SEALWIRE_KERNEL` names it, or else the fastest is taken.
//!
//! It does not check a kernel. Read next: [`sealwire::crypto::choice`], which does.

use std::env;

use sealwire::{Kernel, KernelError};

use crate::error::Error;

/// The environment variable that names a kernel.
const VARIABLE: &str = "SEALWIRE_KERNEL";

/// The kernel that the environment names, or the fastest.
///
/// # Errors
///
/// A usage error for a kernel that does not exist or that this processor lacks; a local error
/// for one that gives wrong answers. No text shows an unknown name: it may be a key that went
/// astray.
pub fn chosen() -> Result<Kernel, Error> {
    let kernel = match env::var_os(VARIABLE).filter(|name| !name.is_empty()) {
        None => Kernel::fastest(),
        Some(name) => Kernel::named(&name.to_string_lossy()),
    };
    kernel.map_err(explained)
}

/// `error` as the user reads it, with what to do.
fn explained(error: KernelError) -> Error {
    let portable = Kernel::PORTABLE.name();
    match error {
        KernelError::Unknown => Error::Usage(format!("{VARIABLE}: {error}")),
        KernelError::Lacking(name) => Error::Usage(format!(
            "{VARIABLE}={name}: this processor lacks what it needs; unset it to use what there is"
        )),
        KernelError::Wrong(name) if name == portable => Error::Local(error.to_string()),
        KernelError::Wrong(_) => Error::Local(format!("{error}; try {VARIABLE}={portable}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: every error says whose fault it is, by its exit code, and what to do. Method: the
    /// whole text of each; that of an unknown name is in `tests/cli`.
    #[test]
    fn errors_say_what_to_do() {
        let texts = [
            (
                KernelError::Lacking("avx512"),
                2,
                "SEALWIRE_KERNEL=avx512: this processor lacks what it needs; \
                 unset it to use what there is",
            ),
            (
                KernelError::Wrong("aesni"),
                1,
                "this processor gives wrong answers with the kernel aesni; \
                 try SEALWIRE_KERNEL=portable",
            ),
            (
                KernelError::Wrong("portable"),
                1,
                "this processor gives wrong answers with the kernel portable",
            ),
        ];
        for (error, code, text) in texts {
            let error = explained(error);
            assert_eq!((error.exit_code(), &error.to_string()[..]), (code, text));
        }
    }
}
