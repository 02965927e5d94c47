//! Where a value lies on an axis, and what is written there.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

/// How values are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Linear,
    Log,
    /// As HdrHistogram's plots have it: a percentile lies where a log scale has the samples for
    /// one above it, so that 90, 99 and 99.9 are equally far from each other.
    Percentile,
}

/// An axis from `least` to `most`, with a label at each tick.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    scale: Scale,
    least: f64,
    most: f64,
    ticks: Vec<f64>,
    unit: &'static str,
}

/// Ticks of a linear axis: as many as have room for their labels.
const TICKS: f64 = 5.0;
/// The shortest axis of time, in seconds: a run that was ended at once has one, too.
const LEAST_TIME: f64 = 1e-3;
/// Part of the greatest value that its axis has at least, so that no line is at the upper edge.
const HEADROOM: f64 = 1.05;
/// Decades of a log axis from which on only every power of ten has a tick.
const MANY_DECADES: f64 = 2.5;
/// Decades from which on every second has one.
const TOO_MANY_DECADES: f64 = 6.0;
/// Steps of a scale that people count in.
const STEPS: [f64; 3] = [1.0, 2.0, 5.0];

impl Axis {
    /// From `least` to at least `most`, or a little more, evenly.
    pub(super) fn linear(least: f64, most: f64, unit: &'static str) -> Self {
        let step = above((most - least).max(f64::MIN_POSITIVE) / TICKS);
        let count = ((most - least) / step).ceil().max(1.0);
        Self {
            scale: Scale::Linear,
            least,
            most: least + count * step,
            ticks: (0..=count as u32)
                .map(|k| least + f64::from(k) * step)
                .collect(),
            unit,
        }
    }

    /// From 0 to what all `values` have room in.
    pub(super) fn of(values: impl Iterator<Item = f64>, unit: &'static str) -> Self {
        let most = values.fold(0.0, f64::max);
        match most > 0.0 {
            true => Self::linear(0.0, most * HEADROOM, unit),
            false => Self::linear(0.0, 1.0, unit),
        }
    }

    /// The same, ending where time ends.
    pub(super) fn time(seconds: f64) -> Self {
        let seconds = seconds.max(LEAST_TIME);
        let whole = Self::linear(0.0, seconds, "s");
        let ticks = whole.ticks.into_iter().filter(|tick| *tick <= seconds);
        Self {
            scale: Scale::Linear,
            least: 0.0,
            most: seconds,
            ticks: ticks.collect(),
            unit: "s",
        }
    }

    /// A log scale with room for all `values` that are above 0.
    pub(super) fn log(values: impl Iterator<Item = f64>, unit: &'static str) -> Self {
        let values = values.filter(|value| *value > 0.0);
        let (least, most) = values.fold((f64::MAX, 0.0), |(least, most), value| {
            (f64::min(least, value), f64::max(most, value))
        });
        let (least, most) = match most > 0.0 {
            true => (below(least), above(most)),
            false => (1.0, 10.0),
        };
        let most = if most > least {
            most
        } else {
            above(least * 1.5)
        };
        Self {
            scale: Scale::Log,
            least,
            most,
            ticks: log_ticks(least, most),
            unit,
        }
    }

    /// Of percentiles up to that which `samples` can tell.
    pub(super) fn percentiles(samples: u64) -> Self {
        let nines = (samples.max(10) as f64).log10();
        let ticks = (0..=nines as i32).map(|nines| 1.0 - 0.1_f64.powi(nines));
        Self {
            scale: Scale::Percentile,
            least: 0.0,
            most: 1.0 - 0.1_f64.powf(nines),
            ticks: ticks.collect(),
            unit: "",
        }
    }

    /// Rows of bars, without labels.
    pub(super) fn rows(count: usize) -> Self {
        Self {
            scale: Scale::Linear,
            least: 0.0,
            most: count as f64,
            ticks: Vec::new(),
            unit: "",
        }
    }

    /// Where `value` lies, from 0 to 1; beyond an end, at that end.
    fn place(&self, value: f64) -> f64 {
        let scaled = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Log => value.log10(),
            Scale::Percentile => -(1.0 - value).log10(),
        };
        let [value, from, to] =
            [value.clamp(self.least, self.most), self.least, self.most].map(scaled);
        (value - from) / (to - from)
    }

    /// What is written at the tick of `value`.
    pub(super) fn label(&self, value: f64) -> String {
        match self.scale {
            // All labels of an even scale have the same unit.
            Scale::Linear => short(value, self.unit, self.most),
            Scale::Log => short(value, self.unit, value),
            Scale::Percentile => percent(-(1.0 - value).log10().round() as usize),
        }
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        from + (self.place(*value) * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // There are no lighter lines between the ticks.
        match hint.weight().allow_light_points() {
            true => Vec::new(),
            false => self.ticks.clone(),
        }
    }

    fn range(&self) -> Range<f64> {
        self.least..self.most
    }
}

/// 0, 90, 99, 99.9 and so on.
pub(super) fn percent(nines: usize) -> String {
    match nines {
        0 => "0".into(),
        1 => "90".into(),
        2 => "99".into(),
        more => format!("99.{}", "9".repeat(more - 2)),
    }
}

/// The next of 1, 2, 5, 10, … that is no less than `value`.
fn above(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let steps = STEPS.into_iter().chain([10.0]).map(|step| step * decade);
    // What was computed may be a little off.
    let mut steps = steps.filter(|step| *step >= value * (1.0 - 1e-9));
    steps.next().unwrap_or(value)
}

/// The next of them that is no more.
fn below(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let steps = STEPS.into_iter().map(|step| step * decade);
    let mut steps = steps.filter(|step| *step <= value * (1.0 + 1e-9));
    steps.next_back().unwrap_or(value)
}

fn log_ticks(least: f64, most: f64) -> Vec<f64> {
    let decades = (most / least).log10();
    let steps: &[f64] = match decades {
        ..MANY_DECADES => &STEPS,
        _ => &[1.0],
    };
    let every = if decades > TOO_MANY_DECADES { 2 } else { 1 };
    let first = least.log10().floor() as i32;
    let exponents = (first..=most.log10().ceil() as i32).step_by(every);
    let ticks =
        exponents.flat_map(|exponent| steps.iter().map(move |step| step * 10_f64.powi(exponent)));
    let inside = least * (1.0 - 1e-9)..=most * (1.0 + 1e-9);
    ticks.filter(|tick| inside.contains(tick)).collect()
}

/// A round number, as short as it can be where numbers are as large as `size`: `us` become ms and
/// s, other large numbers have k and M.
fn short(value: f64, unit: &str, size: f64) -> String {
    let (divisor, unit) = match (unit, size) {
        ("us", 1e6..) => (1e6, " s"),
        ("us", 1e3..) => (1e3, " ms"),
        ("us", _) => (1.0, " µs"),
        ("", 1e6..) => (1e6, "M"),
        ("", 1e4..) => (1e3, "k"),
        ("", _) => (1.0, ""),
        (unit, _) => return format!("{} {unit}", rounded(value)),
    };
    match rounded(value / divisor) {
        0.0 if !unit.starts_with(' ') => "0".into(),
        digits => format!("{digits}{unit}"),
    }
}

/// Ticks have few digits; what was computed may be a little off.
fn rounded(value: f64) -> f64 {
    let rounded = (value * 1e4).round() / 1e4;
    // No -0.
    rounded + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> String {
        let labels = axis.ticks.iter().map(|&tick| axis.label(tick));
        labels.collect::<Vec<_>>().join(" | ")
    }

    /// Goal: an axis has room for its values, and few labels, which people can read. Method: axes
    /// of each kind, with little and with much.
    #[test]
    fn labels_are_readable() {
        let log = |values: &[f64], unit| Axis::log(values.iter().copied(), unit);
        for (axis, due) in [
            (Axis::linear(0.0, 1234.0, ""), "0 | 500 | 1000 | 1500"),
            (
                Axis::linear(0.0, 91_000.0, ""),
                "0 | 20k | 40k | 60k | 80k | 100k",
            ),
            (
                Axis::of([0.3].into_iter(), "%"),
                "0 % | 0.1 % | 0.2 % | 0.3 % | 0.4 %",
            ),
            (
                Axis::of([].into_iter(), "MB"),
                "0 MB | 0.2 MB | 0.4 MB | 0.6 MB | 0.8 MB | 1 MB",
            ),
            (Axis::time(5.0), "0 s | 1 s | 2 s | 3 s | 4 s | 5 s"),
            (
                Axis::time(0.0),
                "0 s | 0.0002 s | 0.0004 s | 0.0006 s | 0.0008 s | 0.001 s",
            ),
            (Axis::time(0.35), "0 s | 0.1 s | 0.2 s | 0.3 s"),
            (log(&[111.0, 210.0], "us"), "100 µs | 200 µs | 500 µs"),
            (
                log(&[60.0, 1.1e6], "us"),
                "100 µs | 1 ms | 10 ms | 100 ms | 1 s",
            ),
            (log(&[0.5, 3e7], "us"), "10 µs | 1 ms | 100 ms | 10 s"),
            (log(&[1.0], ""), "1 | 2"),
            (log(&[0.97, 1.04], ""), "0.5 | 1 | 2"),
            (log(&[], "us"), "1 µs | 2 µs | 5 µs | 10 µs"),
            (Axis::percentiles(20_000), "0 | 90 | 99 | 99.9 | 99.99"),
            (Axis::percentiles(3), "0 | 90"),
        ] {
            assert_eq!(labels(&axis), due, "{axis:?}");
            assert!(axis.least < axis.most, "{axis:?}");
        }
    }

    /// Goal: whatever a value is, it lies on the axis. Method: ends and beyond, of each scale.
    #[test]
    fn all_values_have_a_place() {
        for axis in [
            Axis::linear(0.0, 10.0, ""),
            Axis::log([1.0, 10.0].into_iter(), ""),
            Axis::percentiles(100),
        ] {
            for value in [-1.0, 0.0, 0.5, 1.0, 1e12] {
                assert!((0.0..=1.0).contains(&axis.place(value)), "{axis:?} {value}");
            }
        }
    }
}
