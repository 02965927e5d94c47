//! Refuses what was typed and cannot be, or would do nothing.

use sealwire::error::Error;
use sealwire::limits::{Limits, MAX_PAYLOAD};

use super::Args;
use crate::limits::{MAX_IN_FLIGHT, MAX_PUBLISHERS, MAX_THREADS, OTHER_DESCRIPTORS, START};
use crate::plan::{Kind, Over, Plan};
use crate::units::usage;

/// Refuses what a workload has no use for.
pub(super) fn fits(typed: &Args, kind: Kind, compares: bool) -> Result<(), Error> {
    let paced = typed.rate.is_some() || kind == Kind::Idle;
    for (misfit, text) in [
        (
            typed.rounds.is_some() && !compares,
            "--rounds goes with compare",
        ),
        (
            typed.publishers.is_some() && kind != Kind::Fanout,
            "--publishers goes with fanout",
        ),
        (
            typed.rate.is_some() && kind == Kind::Sink,
            "-r: a sink takes what it can; it has no rate",
        ),
        (
            typed.warmup.is_some() && kind == Kind::Sink,
            "-w: a sink is measured from its beginning, as it is confirmed at the end",
        ),
        (
            typed.arrival.is_some() && !paced,
            "--arrival goes with -r: without a rate nothing is due",
        ),
    ] {
        if misfit {
            return usage(text);
        }
    }
    Ok(())
}

/// Refuses what a comparison has no use for, and what one of its transports cannot do.
pub(super) fn comparison(typed: &Args, plan: &Plan) -> Result<(), Error> {
    for (option, is_there) in [
        ("--to", typed.to.is_some()),
        ("--over", typed.over.is_some()),
        ("--slo", !typed.slo.is_empty()),
        ("--hdr", typed.hdr.is_some()),
        ("--timeseries", typed.timeseries.is_some()),
        ("-q", typed.quiet),
    ] {
        if is_there {
            return usage(format!("{option} does not go with compare"));
        }
    }
    let plain = Plan {
        over: Over::Plain,
        ..plan.clone()
    };
    size(&plain)
}

/// Refuses messages that nothing would tell apart.
fn size(plan: &Plan) -> Result<(), Error> {
    if plan.over != Over::Sealed && plan.size == 0 {
        return usage("-s: an empty message is none where nothing tells messages apart");
    }
    Ok(())
}

/// Refuses what cannot be run, or would bring the machine down.
pub(super) fn bounds(plan: &Plan, descriptors: u64) -> Result<(), Error> {
    let limits = Limits::default();
    if plan.duration.is_zero() {
        return usage("-d: there is nothing to measure in no time");
    }
    if plan.timeout.is_zero() {
        return usage("--timeout: nothing is answered in no time");
    }
    if plan.threads > MAX_THREADS.min(plan.peers) {
        return usage(format!("-t: at most {MAX_THREADS}, and no more than peers"));
    }
    if plan.kind == Kind::Fanout && plan.threads > 1 {
        return usage("-t: fanout takes one thread: who has had a message is known to it");
    }
    size(plan)?;
    let most = descriptors.saturating_sub(OTHER_DESCRIPTORS);
    if plan.all_peers() as u64 > most {
        return usage(format!(
            "-c: at most {most} peers, as this process may open {descriptors} descriptors; \
             ulimit -Hn is that limit"
        ));
    }
    let chunks = plan.size.div_ceil(MAX_PAYLOAD).max(1);
    let in_flight = plan.peers.saturating_mul(plan.depth);
    if in_flight.saturating_mul(chunks) > MAX_IN_FLIGHT {
        return usage(format!(
            "-c times -p: at most {MAX_IN_FLIGHT} messages, or 16 KiB of them, under way at once"
        ));
    }
    if plan.senders().saturating_mul(plan.size) > limits.max_assembling {
        return usage(format!(
            "-c times -s: at most {} bytes, the most that a server keeps of unfinished messages",
            limits.max_assembling
        ));
    }
    if plan.kind == Kind::Fanout && (plan.publishers > MAX_PUBLISHERS || plan.size < START) {
        return usage(format!(
            "fanout takes at most {MAX_PUBLISHERS} publishers, and messages of at least {START} bytes, by \
             which they are told apart"
        ));
    }
    Ok(())
}
