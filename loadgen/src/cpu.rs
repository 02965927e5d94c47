//! How much processor time a process has used, of which Linux keeps account to
//! the nanosecond; elsewhere nobody knows.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// What all threads of process `pid` have run until now; `None` if that cannot
/// be told. What threads ran that are gone is not in it.
pub(crate) fn time_of(pid: u32) -> Option<Duration> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let times = threads
        .flatten()
        .filter_map(|thread| of_thread(&thread.path()));
    times.reduce(|sum, time| sum + time)
}

/// `None` for one that has gone meanwhile.
fn of_thread(thread: &Path) -> Option<Duration> {
    let text = fs::read_to_string(thread.join("schedstat")).ok()?;
    let nanos = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::hint::black_box;
    use std::process;
    use std::time::Instant;

    use super::*;

    /// Goal: work shows, in the right unit. Method: work for a while and
    /// compare; other tests of this process may work, too.
    #[test]
    fn work_shows() {
        let before = time_of(process::id()).unwrap();
        let began = Instant::now();
        while time_of(process::id()).unwrap() < before + Duration::from_millis(20) {
            black_box((0..10_000).sum::<u64>());
            assert!(began.elapsed() < Duration::from_secs(60));
        }
        assert_eq!(time_of(u32::MAX), None);
    }
}
