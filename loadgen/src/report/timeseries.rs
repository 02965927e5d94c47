//! The intervals of a run, as CSV. A figure that is unknown, or has too few samples, is empty.

use std::time::Duration;

use super::Report;
use super::headline::comments;
use crate::measure::results::Interval;

/// The columns. The server's times and switches are of the interval, its memory and
/// descriptors at its end.
const COLUMNS: &str = "until_s,took_s,completed_messages,messages_per_second,\
    response_p50_us,response_p99_us,response_max_us,peers,generator_cpu_us,\
    server_user_us,server_system_us,server_resident_bytes,server_descriptors,\
    server_voluntary_switches,server_involuntary_switches,sent_messages";

pub(super) fn text(report: &Report<'_>) -> String {
    let rows = report.results.intervals.iter().map(line);
    comments(report) + COLUMNS + "\n" + &rows.collect::<String>()
}

fn line(interval: &Interval) -> String {
    let of_nanos = |nanos: u64| (nanos as f64 / 1e3).to_string();
    let us = |time: Duration| of_nanos(time.as_nanos() as u64);
    let mut cells = vec![
        interval.until.as_secs_f64().to_string(),
        interval.took.as_secs_f64().to_string(),
        interval.completed.to_string(),
        format!("{:.1}", interval.rate),
        interval.p50.map(of_nanos).unwrap_or_default(),
        interval.p99.map(of_nanos).unwrap_or_default(),
        interval.max.map(of_nanos).unwrap_or_default(),
        interval.peers.to_string(),
        us(interval.generator),
    ];
    match interval.server {
        Some(server) => cells.extend([
            us(server.user),
            us(server.system),
            server.resident.to_string(),
            server.descriptors.to_string(),
            server.voluntary.to_string(),
            server.involuntary.to_string(),
        ]),
        None => cells.extend([const { String::new() }; 6]),
    }
    cells.push(interval.sent.to_string());
    cells.join(",") + "\n"
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::told;
    use super::*;
    use crate::measure::results::Results;

    /// Goal: a header names every column, and each interval has a line; what is unknown is
    /// empty. Method: a run whose first intervals have few answers, none, and no server.
    #[test]
    fn a_line_for_each_interval() {
        let change = |results: &mut Results| {
            results.intervals[0].p99 = None;
            let none = &mut results.intervals[1];
            (none.completed, none.rate) = (0, 0.0);
            (none.p50, none.p99, none.max) = (None, None, None);
            results.intervals[2].server = None;
        };
        let text = told(change, "", text);
        let lines = text.lines().skip_while(|line| line.starts_with("# "));
        let lines: Vec<_> = lines.collect();
        assert_eq!(lines[0], COLUMNS);
        let cells: HashSet<_> = lines.iter().map(|line| line.split(',').count()).collect();
        assert_eq!((lines.len(), cells.len()), (21, 1), "{text}");
        let server = "4000,6000,11534336,70,500,20,1000";
        let whole = format!("20,1,1000,1000.0,160,209,210,64,450000,{server}");
        for (index, due) in [
            (1, format!("1,1,1000,1000.0,160,,210,64,450000,{server}")),
            (2, format!("2,1,0,0.0,,,,64,450000,{server}")),
            (3, "3,1,1000,1000.0,160,209,210,64,450000,,,,,,,1000".into()),
            (20, whole),
        ] {
            assert_eq!(lines[index], due);
        }
    }
}
