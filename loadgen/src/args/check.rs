//! Refuses what does not go together, or would do nothing.

use sealwire_cli::error::Error;

use super::Args;
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
pub(super) fn size(plan: &Plan) -> Result<(), Error> {
    if plan.over != Over::Sealed && plan.size == 0 {
        return usage("-s: an empty message is none where nothing tells messages apart");
    }
    Ok(())
}
