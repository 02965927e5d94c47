//! What a run came to: counts, times, and what processes used.
//!
//! [`meter`] measures messages, [`sample`] processes. [`results`] holds what came of a run,
//! [`figures`] what follows from it, and [`environment`] where it ran. Whether the figures can
//! be trusted is up to [`crate::judge`].

pub(crate) mod crypto_cost;
pub(crate) mod environment;
pub(crate) mod figures;
pub(crate) mod freezes;
pub(crate) mod intervals;
pub(crate) mod json;
pub(crate) mod meter;
pub(crate) mod quantile;
pub(crate) mod results;
pub(crate) mod sample;
