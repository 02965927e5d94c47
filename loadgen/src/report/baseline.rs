//! The part of a report that sets its figures beside older ones.
//!
//! Read [`crate::judge::baseline`] for what better and worse are.

use sealwire::text::escaped;

use super::comparison::number;
use crate::judge::baseline::{Change, Judged, Row};
use crate::values::name;

/// A line for each figure, and what they come to.
pub(super) fn table(judged: &Judged) -> String {
    let commit = escaped(&judged.commit);
    let mut text = format!("\nbeside the baseline of {commit}\n");
    let cells = ["old", "new", "change", "chance"];
    text += &line("medians", cells.map(str::to_owned), "");
    for row in &judged.rows {
        text += &of(row);
    }
    if judged.invalid_runs > 0 {
        let (invalid, all) = (judged.invalid_runs, judged.new_runs);
        text += &format!("{invalid} of {all} new runs are INVALID, and left out\n");
    }
    let all = name(judged.change);
    let what = match judged.change {
        Change::CantTell => "whether it is better or worse",
        Change::Better | Change::Worse => "than the baseline",
    };
    text + &format!("{all} {what}\n\n")
}

fn of(row: &Row) -> String {
    let change = row.change_percent;
    let cells = [
        number(row.old.median),
        number(row.new.median),
        change.map_or("-".into(), |percent| format!("{percent:+.1} %")),
        format!("{:.4}", row.chance),
    ];
    let counts = match row.decides {
        true => "",
        false => ", but does not decide",
    };
    let change = match row.change {
        Change::CantTell => name(row.change),
        Change::Better | Change::Worse => name(row.change) + counts,
    };
    line(&format!("{} {}", row.of, row.figure), cells, &change)
}

fn line(what: &str, cells: [String; 4], change: &str) -> String {
    let cells = cells.map(|cell| format!(" {cell:>12}")).concat();
    let line = format!("{what:<30}{cells}  {change}");
    line.trim_end().to_owned() + "\n"
}
