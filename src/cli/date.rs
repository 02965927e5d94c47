//! The time of day, as RFC 3339 writes it. It is for logs: no deadline depends on it.

use std::time::{Duration, SystemTime};

/// Days of the calendar's cycle of 400 years.
const CYCLE: u64 = 146_097;

/// Now, in UTC, to the microsecond.
pub(crate) fn now() -> String {
    let since = SystemTime::UNIX_EPOCH.elapsed();
    // A clock before 1970 is not set.
    written(since.unwrap_or_default())
}

/// The time that is so long after 1970 began.
fn written(since: Duration) -> String {
    let seconds = since.as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let micros = since.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// The year, month and day that begins so many days after 1970. Years begin in March here, so
/// that the day that not every year has is their last.
fn date(days: u64) -> (u64, u64, u64) {
    // From March of the year 0.
    let days = days + 719_468;
    let (cycle, day) = (days / CYCLE, days % CYCLE);
    let year = (day - day / 1460 + day / 36_524 - day / (CYCLE - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months have 153 days in each five of them.
    let month = (5 * day + 2) / 153;
    let first = (153 * month + 2) / 5;
    let (month, next) = match month {
        0..=9 => (month + 3, 0),
        _ => (month - 9, 1),
    };
    (400 * cycle + year + next, month, day - first + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: dates are those of the calendar. Method: days around every kind of leap year, and
    /// every day for 500 years, one by one.
    #[test]
    fn dates() {
        for (seconds, wanted) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (951_868_800, "2000-03-01T00:00:00"),
            (1_735_689_599, "2024-12-31T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ] {
            let text = written(Duration::new(seconds, 1_000));
            assert_eq!(text, format!("{wanted}.000001Z"));
        }
        let mut next = (1970, 1, 1);
        for days in 0..500 * 366 {
            assert_eq!(date(days), next);
            let (year, month, day) = next;
            let every = |years: u64| year.is_multiple_of(years);
            let leap = every(4) && !every(100) || every(400);
            let most = match month {
                2 => 28 + u64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            next = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (_, day) if day == most => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }
}
