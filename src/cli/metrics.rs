//! The text of `--metrics`: figures of a program that runs, for Prometheus.
//!
//! A figure is a count since the start (`_total`), or what there is now. Names, units and the
//! form are those that Prometheus asks for
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>). No figure names a peer or
//! a key. `sealwire::net::scrape` serves the text. `docs/OPERATING.md` explains each figure.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use sealwire::error::cause::Causes;
use sealwire::net::ticks::Ticks;
use sealwire::{Endpoint, EventLoop, Kernel, Mode, Stats};

/// The upper bounds of the histogram of ticks, in powers of two of microseconds, for which
/// [`Ticks::below`] is exact: from a tick with one message to one that users notice.
const TICK_POWERS: [u32; 9] = [4, 6, 8, 10, 12, 14, 16, 18, 20];

/// All figures of `events`, whose records are sealed by `kernel`.
pub(crate) fn text<M: Mode>(events: &EventLoop<M>, kernel: Kernel) -> String {
    let endpoint = events.endpoint();
    let mut page = Page::default();
    page.metric("build_info", GAUGE, "The version and the kernel in use.");
    let version = env!("CARGO_PKG_VERSION");
    let labels = format!("kernel=\"{}\",version=\"{version}\"", kernel.name());
    page.sample("build_info", &labels, 1);
    connections(&mut page, endpoint);
    failures(&mut page, &endpoint.stats());
    traffic(&mut page, &endpoint.stats());
    memory(&mut page, endpoint);
    ticks(&mut page, events.ticks());
    page.0
}

const GAUGE: &str = "gauge";
const COUNTER: &str = "counter";

/// The text, as far as it is written.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Begins a metric.
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            self.0,
            "# HELP sealwire_{name} {help}\n# TYPE sealwire_{name} {kind}"
        );
    }

    /// Adds a value of the metric that was begun.
    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = match labels {
            "" => writeln!(self.0, "sealwire_{name} {value}"),
            _ => writeln!(self.0, "sealwire_{name}{{{labels}}} {value}"),
        };
    }

    /// Adds a metric with one value.
    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.metric(name, kind, help);
        self.sample(name, "", value);
    }
}

fn connections<M: Mode>(page: &mut Page, endpoint: &Endpoint<M>) {
    let (stats, limits, peers) = (endpoint.stats(), endpoint.limits(), endpoint.proved());
    let what = "Peers that have proved their keys, now.";
    page.single("peers", GAUGE, what, peers);
    let what = "Peers that there may be at once.";
    page.single("peers_limit", GAUGE, what, limits.max_peers);
    let unproved = endpoint.connections() - peers;
    let what = "Connections that have proved nothing yet, now.";
    page.single("unproved_connections", GAUGE, what, unproved);
    let what = "Connections that have proved nothing that there may be at once.";
    let most = limits.max_handshakes;
    page.single("unproved_connections_limit", GAUGE, what, most);
    let what = "Plain connections of a tunnel, now.";
    page.single("plain_connections", GAUGE, what, endpoint.pairs());
    let what = "Peers that have proved their keys.";
    page.single("handshakes_total", COUNTER, what, stats.joined);
    let what = "Connections that ended before they proved anything.";
    let refused = "refused_connections_total";
    page.single(refused, COUNTER, what, stats.refused);
    let what = "Connections that were closed before they proved anything, to make room.";
    page.single("evicted_connections_total", COUNTER, what, stats.evicted);
    let what = "Peers that left when everything was complete.";
    page.single("completed_peers_total", COUNTER, what, stats.complete);
}

fn failures(page: &mut Page, stats: &Stats) {
    let mut by = |name, help, causes: &Causes| {
        page.metric(name, COUNTER, help);
        for (cause, count) in causes.iter() {
            page.sample(name, &format!("reason=\"{cause}\""), count);
        }
    };
    let what = "Peers that had proved their keys and failed, by reason.";
    by("peer_failures_total", what, &stats.failed_by);
    let what = "Connections that failed before they proved anything, by reason.";
    by("handshake_failures_total", what, &stats.refused_by);
}

fn traffic(page: &mut Page, stats: &Stats) {
    let what = "Whole messages that came.";
    page.single("received_messages_total", COUNTER, what, stats.messages);
    let what = "Bytes of whole messages that came.";
    page.single("received_bytes_total", COUNTER, what, stats.bytes);
    let what = "Bytes that the sockets of peers took, sealed.";
    page.single("written_bytes_total", COUNTER, what, stats.written);
    let what = "Records whose tags were checked.";
    page.single("opened_records_total", COUNTER, what, stats.opened);
    let what = "Records that were sealed.";
    page.single("sealed_records_total", COUNTER, what, stats.sealed);
}

fn memory<M: Mode>(page: &mut Page, endpoint: &Endpoint<M>) {
    let limits = endpoint.limits();
    let what = "Memory of buffers: queues, unfinished messages, partial records.";
    page.single("held_bytes", GAUGE, what, endpoint.held());
    let what = "Memory of all queues.";
    page.single("queued_bytes", GAUGE, what, endpoint.queued_memory());
    let what = "Memory of queues from which on it is short.";
    page.single("queued_bytes_limit", GAUGE, what, limits.max_queued);
    let what = "Bytes of messages that have not come whole.";
    page.single("unfinished_bytes", GAUGE, what, endpoint.unfinished());
    let what = "Bytes of messages that have not come whole that there may be.";
    page.single("unfinished_bytes_limit", GAUGE, what, limits.max_assembling);
}

fn ticks(page: &mut Page, ticks: &Ticks) {
    let what = "How long ticks took: meanwhile every other peer waits.";
    page.metric("tick_seconds", "histogram", what);
    for power in TICK_POWERS {
        let bound = Duration::from_micros(1 << power);
        let labels = format!("le=\"{}\"", bound.as_secs_f64());
        page.sample("tick_seconds_bucket", &labels, ticks.below(bound));
    }
    page.sample("tick_seconds_bucket", "le=\"+Inf\"", ticks.count());
    let total = ticks.total().as_secs_f64();
    page.sample("tick_seconds_sum", "", total);
    page.sample("tick_seconds_count", "", ticks.count());
}
