//! How figures are written for programs: units, and whole histograms.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};
use sealwire::Kernel;
use serde::{Serialize as _, Serializer};
use serde_json::{Value, json};

use super::quantile::Quantile;

pub(crate) fn micros<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_nanos() as f64 / 1e3)
}

pub(crate) fn some_micros<S: Serializer>(
    time: &Option<Duration>,
    to: S,
) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_nanos() as f64 / 1e3).serialize(to)
}

pub(crate) fn kernel<S: Serializer>(kernel: &Option<Kernel>, to: S) -> Result<S::Ok, S::Error> {
    kernel.map(Kernel::name).serialize(to)
}

/// Quantiles, and all samples in the form that other programs with HdrHistogram read.
pub(crate) fn times<S: Serializer>(times: &Histogram<u64>, to: S) -> Result<S::Ok, S::Error> {
    value(times).serialize(to)
}

pub(crate) fn some_times<S: Serializer>(
    times: &Option<Histogram<u64>>,
    to: S,
) -> Result<S::Ok, S::Error> {
    times.as_ref().map(value).serialize(to)
}

/// Histograms by their names, which get underscores for spaces.
pub(crate) fn stages<S: Serializer>(
    stages: &BTreeMap<&'static str, Histogram<u64>>,
    to: S,
) -> Result<S::Ok, S::Error> {
    let stages = stages.iter();
    to.collect_map(stages.map(|(name, times)| (name.replace(' ', "_"), value(times))))
}

fn value(times: &Histogram<u64>) -> Value {
    let is_any = !times.is_empty();
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(times, &mut bytes)
        .expect("memory takes all, and every count fits the format");
    json!({
        "count": times.len(),
        "p50": Quantile::P50.of(times),
        "p90": Quantile::P90.of(times),
        "p99": Quantile::P99.of(times),
        "p99_9": Quantile::P99_9.of(times),
        "max": is_any.then(|| times.max()),
        "mean": is_any.then(|| times.mean()),
        "hdr_v2": BASE64_STANDARD.encode(bytes),
    })
}
