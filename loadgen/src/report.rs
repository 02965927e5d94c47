//! Placeholder until merged.
use std::path::PathBuf;
#[derive(Debug, Default)]
pub(crate) struct Outputs { pub(crate) json: Option<PathBuf>, pub(crate) hdr: Option<PathBuf>, pub(crate) timeseries: Option<PathBuf>, pub(crate) quiet: bool }
