//! The table of `--show-limits`: what memory is for, and the bounds that keep it.
//!
//! It prints what [`Ceiling`] computed, and computes nothing. A line has three columns without
//! spaces, for `awk`: a name, a value for people, and the same value as a number. The rest of
//! the line says what it is, and which option changes it.

use std::fmt::Write as _;

use sealwire::limits::ceiling::{Ceiling, Machine};

use crate::units::size_text;

/// The lines of the table.
pub(crate) fn table(ceiling: &Ceiling, machine: &Machine) -> String {
    let mut table = String::new();
    let mut line = |name: &str, value: &str, number: usize, what: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{name:<15} {value:>9} {number:>15}  {what}");
    };
    let size = |bytes| (size_text(bytes), bytes);
    let number = |count: usize| (count.to_string(), count);

    let (value, bytes) = size(ceiling.max_memory);
    let what = "the ceiling of what follows, down to sum; --max-memory";
    line("max-memory", &value, bytes, what);
    for part in &ceiling.parts {
        let (value, bytes) = size(part.bytes());
        let what = match part.count {
            1 => part.what.to_owned(),
            count => format!("{count} times {}: {}", size_text(part.each), part.what),
        };
        line(part.name, &value, bytes, &what);
    }
    let (value, bytes) = size(ceiling.sum());
    line("sum", &value, bytes, "all parts together");

    let limits = &ceiling.limits;
    let bounds = [
        (
            "max-message",
            size(limits.max_message),
            "the largest message of a peer; --max-message",
        ),
        (
            "max-assembling",
            size(limits.max_assembling),
            "unfinished messages; --max-assembling",
        ),
        (
            "max-queue",
            size(limits.max_queue),
            "what waits for one receiver; --max-queue",
        ),
    ];
    let of_a_server = [
        (
            "max-peers",
            number(limits.max_peers),
            "peers at once; --max-peers",
        ),
        (
            "max-handshakes",
            number(limits.max_handshakes),
            "unproved connections; --max-handshakes",
        ),
        (
            "descriptors",
            number(machine.descriptors),
            "each connection takes one, in a tunnel two; ulimit -Hn",
        ),
    ];
    // A client has no peers but one, and the near end of a tunnel has no strangers.
    let has = |name: &str| ceiling.parts.iter().any(|part| part.name == name);
    let holds = |name: &str| match name {
        "max-handshakes" => has("handshakes"),
        _ => has("accept-queue"),
    };
    let of_a_server = of_a_server.into_iter().filter(|(name, ..)| holds(name));
    for (name, (value, number), what) in bounds.into_iter().chain(of_a_server) {
        line(name, &value, number, what);
    }
    table
}
