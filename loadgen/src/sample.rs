//! What a process has used, as Linux keeps account of it; elsewhere nobody knows.
//!
//! Also the processor time of the thread that asks.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::results::{ThreadUse, Usage};

/// A process that runs.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    folder: PathBuf,
    /// When it began, in ticks: another one may get its number.
    began: u64,
}

impl Process {
    /// The process `pid`; `None` if there is none, or nothing can be told of it.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let began = Ticks::read(&folder)?.began;
        let process = Self { folder, began };
        process.usage().map(|_| process)
    }

    /// What it has used until now; `None` once it has gone. What threads ran that
    /// are gone is not in it.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let ticks = Ticks::read(&self.folder).filter(|ticks| ticks.began == self.began)?;
        let mut time = Duration::ZERO;
        let (mut voluntary, mut involuntary) = (0, 0);
        let threads = fs::read_dir(self.folder.join("task")).ok()?;
        for thread in threads.flatten() {
            // One that has gone meanwhile.
            let Some((ran, status)) = thread_of(&thread.path()) else {
                continue;
            };
            time += ran;
            voluntary += number(&status, "voluntary_ctxt_switches:")?;
            involuntary += number(&status, "nonvoluntary_ctxt_switches:")?;
        }
        let (user, system) = ticks.split(time);
        let status = fs::read_to_string(self.folder.join("status")).ok()?;
        Some(Usage {
            user,
            system,
            // In units of 1024 bytes.
            resident: number(&status, "VmRSS:")? << 10,
            descriptors: self.descriptors()?,
            voluntary,
            involuntary,
        })
    }

    fn descriptors(&self) -> Option<u64> {
        let folder = self.folder.join("fd");
        // Since Linux 6.2 that is the folder's size: looking at ten thousand names
        // takes longer than a sample should.
        match fs::metadata(&folder).ok()?.len() {
            0 => Some(fs::read_dir(&folder).ok()?.count() as u64),
            size => Some(size),
        }
    }
}

/// How long a thread has run, and what Linux says of it.
fn thread_of(folder: &Path) -> Option<(Duration, String)> {
    let text = fs::read_to_string(folder.join("schedstat")).ok()?;
    let nanos = text.split_whitespace().next()?.parse().ok()?;
    let status = fs::read_to_string(folder.join("status")).ok()?;
    Some((Duration::from_nanos(nanos), status))
}

/// The number behind `name` at the beginning of a line.
fn number(status: &str, name: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// A process as `stat` tells it: coarsely, but by whose time it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticks {
    user: u64,
    system: u64,
    began: u64,
}

impl Ticks {
    fn read(process: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(process.join("stat")).ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        // The second field is the program's name, in which anything may be. Behind
        // it comes the third, and these are the 14th, 15th and 22nd.
        let (_, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split_whitespace().skip(14 - 3);
        let mut next = |skipped| fields.nth(skipped)?.parse().ok();
        Some(Self {
            user: next(0)?,
            system: next(0)?,
            began: next(22 - 16)?,
        })
    }

    /// `time`, which is exact, in these shares: user and system.
    fn split(self, time: Duration) -> (Duration, Duration) {
        let all = u128::from((self.user + self.system).max(1));
        let system = time.as_nanos() * u128::from(self.system) / all;
        let system = Duration::from_nanos(system as u64);
        (time.saturating_sub(system), system)
    }
}

/// How long the calling thread has run.
pub(crate) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // Neither is ever negative.
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What the calling thread has had of processors until now. Where the system does not
/// tell how long it had to wait, that is nothing.
pub(crate) fn thread_use() -> ThreadUse {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok();
    ThreadUse {
        ran: thread_time(),
        waited: text.as_deref().and_then(waited).unwrap_or_default(),
    }
}

/// How long a thread had to wait, of its `schedstat`.
fn waited(text: &str) -> Option<Duration> {
    let nanos = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

impl ThreadUse {
    /// What it had since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            ran: self.ran.saturating_sub(before.ran),
            waited: self.waited.saturating_sub(before.waited),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::hint::black_box;
    use std::time::Instant;

    use super::*;

    /// Works until `done`, or panics if that never comes.
    fn work_until(done: impl Fn() -> bool) {
        let began = Instant::now();
        while !done() {
            black_box((0..10_000).sum::<u64>());
            assert!(began.elapsed() < Duration::from_secs(60));
        }
    }

    /// Goal: a thread's work shows, and only its own. Method: work for a while,
    /// and start a thread that has not.
    #[test]
    fn a_threads_work() {
        let before = thread_time();
        work_until(|| thread_time() > before + Duration::from_millis(20));
        let other = std::thread::spawn(thread_time).join().unwrap();
        assert!(other < thread_time(), "{other:?}");
    }

    /// Goal: what a process has used is found where Linux says it. Method: fields
    /// of a `stat` whose program has an odd name, and of a `status`.
    #[test]
    fn what_linux_says() {
        let stat = "7 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 300 100 13 14 15 16 17 18 9999 20";
        let ticks = Ticks::parse(stat).unwrap();
        let (user, system) = (300, 100);
        let began = 9999;
        assert_eq!(
            ticks,
            Ticks {
                user,
                system,
                began
            }
        );
        let (user, system) = ticks.split(Duration::from_nanos(4_000_001));
        assert_eq!((user.as_nanos(), system.as_nanos()), (3_000_001, 1_000_000));
        let none = Ticks {
            user: 0,
            system: 0,
            began,
        };
        let (user, system) = none.split(Duration::from_nanos(9));
        assert_eq!((user.as_nanos(), system.as_nanos()), (9, 0));
        assert_eq!(Ticks::parse("7 (x) S 1 2"), None);

        let status = "VmRSS:\t    5432 kB\nnonvoluntary_ctxt_switches:\t3\n";
        assert_eq!(number(status, "VmRSS:"), Some(5432));
        assert_eq!(number(status, "voluntary_ctxt_switches:"), None);
        assert_eq!(number(status, "nonvoluntary_ctxt_switches:"), Some(3));

        assert_eq!(waited("300 200 7\n"), Some(Duration::from_nanos(200)));
        assert_eq!(waited("300"), None);
    }

    /// Goal: a process's work, memory and descriptors show, in the right units.
    /// Method: have some more of each; other tests of this process may, too.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_process_uses() {
        let own = Process::of(std::process::id()).unwrap();
        let before = own.usage().unwrap();
        let time = |usage: &Usage| usage.user + usage.system;
        let more = time(&before) + Duration::from_millis(20);
        work_until(|| time(&own.usage().unwrap()) > more);

        const BYTES: usize = 64 << 20;
        let memory = black_box(vec![1_u8; BYTES]);
        let files: Vec<_> = (0..100)
            .map(|_| fs::File::open("/proc/self/stat").unwrap())
            .collect();
        let after = own.usage().unwrap();
        assert!(after.resident > BYTES as u64, "{after:?}");
        assert!(after.resident < 1 << 40, "{after:?}");
        assert!(after.descriptors > 100, "{after:?}");
        assert!(after.descriptors < 100_000, "{after:?}");
        assert!(after.voluntary + after.involuntary > 0, "{after:?}");
        drop((memory, files));
    }

    /// Goal: no process is told from one, and another with the same number from
    /// the one that was meant. Method: a number that no process has; this process,
    /// as if it had begun at another time.
    #[test]
    fn who_is_gone() {
        assert!(Process::of(u32::MAX).is_none());
        if let Some(mut own) = Process::of(std::process::id()) {
            own.began += 1;
            assert_eq!(own.usage(), None);
        }
    }
}
