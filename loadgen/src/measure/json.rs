//! How figures are written for programs: units, and whole histograms.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};
use sealwire::crypto::kernel::Kernel;
use serde::{Serialize, Serializer};

use super::quantile::Quantile;

/// A time in microseconds.
pub(crate) fn micros<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_nanos() as f64 / 1e3)
}

/// A time in nanoseconds, if it is known.
pub(crate) fn nanos<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_nanos() as u64).serialize(to)
}

/// The name of what seals.
pub(crate) fn kernel_name<S: Serializer>(kernel: &Kernel, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(kernel.name())
}

/// The name of what seals, if anything does.
pub(crate) fn kernel<S: Serializer>(kernel: &Option<Kernel>, to: S) -> Result<S::Ok, S::Error> {
    kernel.map(Kernel::name).serialize(to)
}

/// Quantiles, and all samples in the form that other programs with HdrHistogram read.
pub(crate) fn times<S: Serializer>(times: &Histogram<u64>, to: S) -> Result<S::Ok, S::Error> {
    Times::of(times).serialize(to)
}

/// Histograms by their names, which get underscores for spaces.
pub(crate) fn stages<S: Serializer>(
    stages: &BTreeMap<&'static str, Histogram<u64>>,
    to: S,
) -> Result<S::Ok, S::Error> {
    let stages = stages.iter();
    to.collect_map(stages.map(|(name, times)| (name.replace(' ', "_"), Times::of(times))))
}

#[derive(Serialize)]
struct Times {
    count: u64,
    p50: Option<u64>,
    p90: Option<u64>,
    p99: Option<u64>,
    p99_9: Option<u64>,
    max: Option<u64>,
    mean: Option<f64>,
    hdr_v2: String,
}

impl Times {
    fn of(times: &Histogram<u64>) -> Self {
        let is_any = !times.is_empty();
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(times, &mut bytes)
            .expect("memory takes all, and every count fits the format");
        Self {
            count: times.len(),
            p50: Quantile::P50.of(times),
            p90: Quantile::P90.of(times),
            p99: Quantile::P99.of(times),
            p99_9: Quantile::P99_9.of(times),
            max: is_any.then(|| times.max()),
            mean: is_any.then(|| times.mean()),
            hdr_v2: BASE64_STANDARD.encode(bytes),
        }
    }
}
