//! Placeholder until merged.
use sealwire::error::Error;
#[derive(Debug)]
pub(crate) struct Slo;
impl Slo { pub(crate) fn parse_all(_: &[String]) -> Result<Vec<Self>, Error> { Ok(Vec::new()) } }
