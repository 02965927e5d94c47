//! Response times by percentile, in the text that plotters of HdrHistogram read
//! (`.hgrm`); in milliseconds.

use super::Report;
use super::headline::comments;
use crate::limits::HDR_STEPS;

pub(super) fn text(report: &Report<'_>) -> String {
    let times = &report.results.tally.response;
    let millis = |nanos: f64| nanos / 1e6;
    let mut text = comments(report);
    text += "       Value     Percentile TotalCount 1/(1-Percentile)\n\n";
    let mut count = 0;
    for step in times.iter_quantiles(HDR_STEPS) {
        count += step.count_since_last_iteration();
        let value = millis(step.value_iterated_to() as f64);
        let part = step.quantile_iterated_to();
        text += &format!("{value:12.6} {part:14.12} {count:10}");
        // Nothing is above the last one.
        if part < 1.0 {
            text += &format!(" {:14.2}", 1.0 / (1.0 - part));
        }
        text.push('\n');
    }
    text += &format!(
        "#[Mean    = {:12.6}, StdDeviation   = {:12.6}]\n\
         #[Max     = {:12.6}, Total count    = {:12}]\n\
         #[Buckets = {:12}, SubBuckets     = {:12}]\n",
        millis(times.mean()),
        millis(times.stdev()),
        millis(times.max() as f64),
        times.len(),
        times.buckets(),
        // Buckets of the whole range, as other programs count them.
        (2 * 10_u32.pow(times.sigfig().into())).next_power_of_two(),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::super::told;
    use super::*;

    /// Goal: plotters find comments, the verdict last; four numbers a line that only grow; and the
    /// totals at the end, even of no answer. Method: read it as they do.
    #[test]
    fn plotters_can_read_it() {
        let text = told(|_| {}, "", text);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("# loadgen 1.2.3 (0123456789ab, release)"));
        let is_comment = |line: &&str| line.starts_with('#');
        let head = lines.iter().take_while(|line| is_comment(line)).count();
        assert_eq!(lines[head - 1], "# VALID");
        let due = "       Value     Percentile TotalCount 1/(1-Percentile)";
        assert_eq!(lines[head..head + 2], [due, ""]);
        let (values, footer) = lines[head + 2..].split_at(lines.len() - head - 5);

        let numbers = |line: &&str| -> Vec<f64> {
            let words = line.split_whitespace();
            words.map(|word| word.parse().unwrap()).collect()
        };
        let values: Vec<_> = values.iter().map(numbers).collect();
        let (last, others) = values.split_last().unwrap();
        assert!(others.iter().all(|line| line.len() == 4), "{text}");
        for line in others {
            assert!((line[3] * (1.0 - line[1]) - 1.0).abs() < 0.01, "{line:?}");
        }
        for column in 0..3 {
            assert!(values.is_sorted_by_key(|line| line[column]), "{text}");
        }
        let median = others.iter().find(|line| line[1] == 0.5).unwrap();
        assert!((median[0] - 0.16).abs() < 0.001, "{median:?}");
        assert_eq!(median[2], 10_000.0);
        assert!((last[0] - 0.21).abs() < 0.001, "{last:?}");
        assert_eq!(last[1..], [1.0, 20_000.0]);

        for (line, part) in [
            (0, "#[Mean    =     0.1605"),
            (0, ", StdDeviation   =     0.0288"),
            (1, "#[Max     =     0.2100"),
            (1, ", Total count    =        20000]"),
            (2, ", SubBuckets     =         2048]"),
        ] {
            assert!(footer[line].contains(part), "{part}: {text}");
        }
        let none = told(|results| results.tally.response.reset(), "", super::text);
        assert!(none.contains("Total count    =            0]\n"), "{none}");
    }
}
