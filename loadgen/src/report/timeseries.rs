//! The intervals of a run, as CSV. What is not known, or has too few samples, is
//! empty.

use super::Report;
use super::headline::comments;
use crate::results::Row;
use crate::times::Quantile;

/// The columns. Of the server, times and switches are of the interval, the others
/// at its end.
const COLUMNS: &str = "until_s,took_s,completed_messages,messages_per_second,\
    response_p50_us,response_p99_us,response_max_us,peers,generator_cpu_us,\
    server_user_us,server_system_us,server_resident_bytes,server_descriptors,\
    server_voluntary_switches,server_involuntary_switches,sent_messages";

pub(super) fn text(report: &Report<'_>) -> String {
    let rows = report.results.rows.iter().map(row);
    comments(report) + COLUMNS + "\n" + &rows.collect::<String>()
}

fn row(row: &Row) -> String {
    let us = |time: std::time::Duration| (time.as_nanos() as f64 / 1e3).to_string();
    let enough = |needs: u64, time| {
        if row.completed < needs {
            String::new()
        } else {
            us(time)
        }
    };
    let mut cells = vec![
        row.until.as_secs_f64().to_string(),
        row.took.as_secs_f64().to_string(),
        row.completed.to_string(),
        format!("{:.1}", row.messages_per_second()),
        enough(Quantile::P50.needs(), row.p50),
        enough(Quantile::P99.needs(), row.p99),
        enough(1, row.max),
        row.peers.to_string(),
        us(row.generator),
    ];
    match row.server {
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
    cells.push(row.sent.to_string());
    cells.join(",") + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::told;
    use super::*;

    /// Goal: a header that names every column, and a line for each interval; what
    /// is not known is empty. Method: a run whose first intervals have few answers,
    /// none, and nothing about the server.
    #[test]
    fn a_line_for_each_interval() {
        let text = told(
            |_, results| {
                results.rows[0].completed = 999;
                results.rows[1].completed = 0;
                results.rows[2].server = None;
            },
            "",
            text,
        );
        let lines = text.lines().skip_while(|line| line.starts_with("# "));
        let lines: Vec<_> = lines.collect();
        let columns = lines[0].split(',').count();
        assert!(
            lines[0].starts_with("until_s,took_s,completed_messages"),
            "{text}"
        );
        assert!(
            lines.iter().all(|line| line.split(',').count() == columns),
            "{text}"
        );
        assert_eq!(lines.len(), 21);
        let server = "4000,6000,11534336,70,500,20,1000";
        assert_eq!(
            lines[1],
            format!("1,1,999,999.0,160,,210,64,450000,{server}")
        );
        assert_eq!(lines[2], format!("2,1,0,0.0,,,,64,450000,{server}"));
        assert_eq!(lines[3], "3,1,1000,1000.0,160,209,210,64,450000,,,,,,,1000");
        assert_eq!(
            lines[20],
            format!("20,1,1000,1000.0,160,209,210,64,450000,{server}")
        );
    }
}
