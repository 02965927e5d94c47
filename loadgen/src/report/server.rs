//! The server's side in the table for people.

use super::Report;
use super::table::Table;
use crate::figures::seconds;
use crate::plan::Kind;

/// Adds its lines: what it used, and for what.
pub(super) fn lines(report: &Report<'_>, table: &mut Table) {
    let Report { plan, results, .. } = report;
    let Some(server) = results.server.map(|server| server.measured()) else {
        table.line("server CPU", "n/a");
        return;
    };
    let share = seconds(server.ran) / seconds(results.took) * 100.0;
    let share = format!("{share:.0} % of a processor");
    let each = match plan.kind {
        Kind::Churn => "connection",
        _ => "message",
    };
    let cpu = match results.server_us_per_message(plan) {
        Some((user, system)) => format!(
            "{:.2} us per {each}: {user:.2} user + {system:.2} system; {share}",
            user + system
        ),
        None => share,
    };
    table.line("server CPU", cpu);
    if let (Some(cost), Some(share)) = (results.crypto, results.crypto_share(plan)) {
        let [seal, open] = [cost.seal, cost.open].map(|cost| {
            let us = seconds(cost.took) * 1e6;
            (format!("{us:.2} us"), format!("{} at once", cost.batch))
        });
        table.line(
            "of it crypto",
            format!(
                "{:.0} %, at {} to seal ({}) and {} to open ({})",
                share * 100.0,
                seal.0,
                seal.1,
                open.0,
                open.1
            ),
        );
    }
    let resident = server.resident as f64 / 1e6;
    let each = match results.bytes_per_peer(plan) {
        Some(bytes) => format!(", {bytes:.0} bytes per peer"),
        None => String::new(),
    };
    table.line("server memory", format!("{resident:.1} MB{each}"));
    let (waited, made_to) = results.switches_per_second().unwrap_or_default();
    let descriptors = server.descriptors;
    table.line(
        "server",
        format!(
            "{descriptors} descriptors; waits {waited:.0} times a second, made to {made_to:.0} times"
        ),
    );
}
