//! What a process has used, as Linux keeps account of it; elsewhere nobody knows.
//!
//! Also the processor time of the thread that asks.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
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

    /// What it has used until now; `None` once it has gone.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let ticks = Ticks::read(&self.folder).filter(|ticks| ticks.began == self.began)?;
        let threads = fs::read_dir(self.folder.join("task")).ok()?;
        // Without those that have gone meanwhile.
        let threads = threads.flatten().filter_map(|one| thread_of(&one.path()));
        let (exact, voluntary, involuntary) = sum(threads)?;
        let status = fs::read_to_string(self.folder.join("status")).ok()?;
        let (user, system) = (ticks.time(ticks.user), ticks.time(ticks.system));
        Some(Usage {
            // What threads ran that have ended is known in ticks alone.
            ran: exact.max(user + system),
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

/// How long a thread has run, and how often it waited and was made to.
type Thread = (Duration, u64, u64);

fn thread_of(folder: &Path) -> Option<Thread> {
    let status = fs::read_to_string(folder.join("status")).ok()?;
    // A system that keeps no such account has ticks.
    let ran = fs::read_to_string(folder.join("schedstat")).ok();
    let ran = ran.as_deref().and_then(|text| nanos(text, 0));
    Some((
        ran.unwrap_or_default(),
        number(&status, "voluntary_ctxt_switches:")?,
        number(&status, "nonvoluntary_ctxt_switches:")?,
    ))
}

/// `None` if there are no threads: then nothing is known, which is not nothing.
fn sum(threads: impl Iterator<Item = Thread>) -> Option<Thread> {
    threads.reduce(|all, one| (all.0 + one.0, all.1 + one.1, all.2 + one.2))
}

/// A time in a `schedstat`: how long a thread ran, then how long it had to wait.
fn nanos(schedstat: &str, field: usize) -> Option<Duration> {
    let nanos = schedstat.split_whitespace().nth(field)?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
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

    /// How long so many ticks are.
    fn time(self, ticks: u64) -> Duration {
        Duration::from_secs_f64(ticks as f64 / clock_ticks_per_second() as f64)
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
        waited: text
            .as_deref()
            .and_then(|text| nanos(text, 1))
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::hint::black_box;
    use std::thread;
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
        let other = thread::spawn(thread_time).join().unwrap();
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
        assert_eq!(
            ticks.time(clock_ticks_per_second() * 3 / 2),
            Duration::from_millis(1500)
        );
        assert_eq!(Ticks::parse("7 (x) S 1 2"), None);

        let status = "VmRSS:\t    5432 kB\nnonvoluntary_ctxt_switches:\t3\n";
        assert_eq!(number(status, "VmRSS:"), Some(5432));
        assert_eq!(number(status, "voluntary_ctxt_switches:"), None);
        assert_eq!(number(status, "nonvoluntary_ctxt_switches:"), Some(3));

        assert_eq!(nanos("300 200 7\n", 1), Some(Duration::from_nanos(200)));
        assert_eq!(nanos("300", 1), None);
    }

    /// Goal: a process of which nothing can be told has no account of nothing, and a
    /// thread whose time the system does not keep is one. Method: no threads; a made-up
    /// folder of one, without its `schedstat` and with an empty one.
    #[test]
    fn what_linux_does_not_say() {
        assert_eq!(sum(std::iter::empty()), None);
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(thread_of(folder.path()), None);
        let status = "voluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t3\n";
        fs::write(folder.path().join("status"), status).unwrap();
        let none = Some((Duration::ZERO, 5, 3));
        assert_eq!(thread_of(folder.path()), none);
        fs::write(folder.path().join("schedstat"), "0 0 0\n").unwrap();
        assert_eq!(thread_of(folder.path()), none);
    }

    /// Goal: a process's work, memory and descriptors show, in the right units.
    /// Method: have some more of each; other tests of this process may, too.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_process_uses() {
        let own = Process::of(std::process::id()).unwrap();
        let before = own.usage().unwrap();
        let more = before.ran + Duration::from_millis(20);
        work_until(|| own.usage().unwrap().ran > more);
        // What a thread ran is still there when it has ended, in ticks.
        let before = own.usage().unwrap();
        let work = || work_until(|| thread_time() > Duration::from_millis(100));
        thread::spawn(work).join().unwrap();
        let ran = own.usage().unwrap().since(before).ran;
        assert!(ran > Duration::from_millis(50), "{ran:?}");

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
