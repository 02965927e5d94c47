//! The kernel that tests and benches use: `SEALWIRE_KERNEL` names it, as for the program.

use std::env;

use sealwire::Kernel;

/// The kernel that the environment names, or the fastest.
pub(crate) fn kernel() -> Kernel {
    let name = env::var("SEALWIRE_KERNEL").unwrap_or_default();
    let kernel = match &name[..] {
        "" => Kernel::fastest(),
        name => Kernel::named(name),
    };
    kernel.unwrap_or_else(|why| panic!("SEALWIRE_KERNEL={name}: {why}"))
}
