//! What a process and a thread have used, as Linux accounts for it in `/proc`.

use std::fs;
use std::time::Duration;

use procfs::FromRead as _;
use procfs::process::{self, Schedstat, Task};
use rustix::time::{ClockId, clock_gettime};

use super::results::{ThreadUse, Usage};

/// A process that runs. It is held open, so that no other process can take its place.
pub(crate) struct Process(process::Process);

impl Process {
    /// The process `pid`; `None` if there is none, or it cannot be read.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let process = Self(process::Process::new(pid.try_into().ok()?).ok()?);
        process.usage().map(|_| process)
    }

    pub(crate) fn usage(&self) -> Option<Usage> {
        let (stat, status) = (self.0.stat().ok()?, self.0.status().ok()?);
        // Threads that have ended meanwhile are left out. Without any, the use is unknown.
        let threads = self.0.tasks().ok()?.flatten();
        let threads = threads.filter_map(|thread| thread_of(&thread));
        let (exact, voluntary, involuntary) =
            threads.reduce(|all, one| (all.0 + one.0, all.1 + one.1, all.2 + one.2))?;
        let second = procfs::ticks_per_second() as f64;
        let time = |ticks: u64| Duration::from_secs_f64(ticks as f64 / second);
        let (user, system) = (time(stat.utime), time(stat.stime));
        Some(Usage {
            // The time of ended threads is known only in ticks.
            ran: exact.max(user + system),
            user,
            system,
            // In units of 1024 bytes.
            resident: status.vmrss? << 10,
            descriptors: self.0.fd_count().ok()? as u64,
            voluntary,
            involuntary,
        })
    }
}

/// How long a thread has run, and how often it waited and was preempted.
fn thread_of(thread: &Task) -> Option<(Duration, u64, u64)> {
    let status = thread.status().ok()?;
    // If the system keeps no such account, ticks are still there.
    let ran = thread.schedstat().map_or(0, |stat| stat.sum_exec_runtime);
    Some((
        Duration::from_nanos(ran),
        status.voluntary_ctxt_switches?,
        status.nonvoluntary_ctxt_switches?,
    ))
}

pub(crate) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // Neither is ever negative.
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What the calling thread has had of processors. A wait that the system hides counts as 0.
pub(crate) fn thread_use() -> ThreadUse {
    let stat = Schedstat::from_file("/proc/thread-self/schedstat");
    ThreadUse {
        ran: thread_time(),
        waited: Duration::from_nanos(stat.map_or(0, |stat| stat.run_delay)),
    }
}

/// Memory that the system has for TCP: buffers of all sockets of this machine. `None` where it
/// does not tell.
pub(crate) fn tcp_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/net/sockstat").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let mut words = line.split_whitespace().skip_while(|word| *word != "mem");
    let pages: u64 = words.nth(1)?.parse().ok()?;
    Some(pages * procfs::page_size())
}

/// How long all processors of this machine have worked, for any program or for other machines
/// that share them with it. `None` where the system does not tell.
pub(crate) fn machine_time() -> Option<Duration> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks = line.split_whitespace().map(|word| word.parse::<u64>().ok());
    let ticks: Option<Vec<_>> = ticks.collect();
    // proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal.
    let [user, nice, system, _, _, irq, softirq, steal, ..] = ticks?[..] else {
        return None;
    };
    let busy = user + nice + system + irq + softirq + steal;
    let second = procfs::ticks_per_second() as f64;
    Some(Duration::from_secs_f64(busy as f64 / second))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::hint::black_box;
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};
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

    /// Goal: a thread's work shows, and only its own. Method: work for a while, and start a
    /// thread that has not.
    #[test]
    fn a_threads_work() {
        let before = thread_use();
        work_until(|| thread_time() > before.ran + Duration::from_millis(20));
        let used = thread_use().since(before).ran;
        let other = thread::spawn(thread_time).join().unwrap();
        assert!(other < used, "{other:?} {used:?}");
    }

    /// Goal: the machine's time has that of every program. Method: work for a while.
    #[test]
    fn a_machines_work() {
        let Some(before) = machine_time() else {
            eprintln!("skipped: this system does not tell the time of its processors");
            return;
        };
        let own = thread_time();
        work_until(|| thread_time() > own + Duration::from_millis(200));
        let after = machine_time().unwrap();
        assert!(
            after - before > Duration::from_millis(100),
            "{before:?} {after:?}"
        );
    }

    /// Goal: the memory of TCP has what waits in sockets. Method: write until a socket whose other
    /// end does not read takes no more. Other programs may free theirs meanwhile, so only the
    /// absolute size is looked at.
    #[test]
    fn memory_of_tcp() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let _other = listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut unread = 0;
        while let Ok(count) = socket.write(&[0; 1 << 16]) {
            unread += count as u64;
        }
        assert!(unread > 0);
        match tcp_memory() {
            Some(bytes) => assert!(bytes > unread / 2, "{bytes} {unread}"),
            None => eprintln!("skipped: this system does not tell the memory of TCP"),
        }
    }

    /// Goal: a process's use is that of all its threads, those that have ended too, and of
    /// what it holds now; a process that is not there has none. Method: this one, before and
    /// after a thread worked, with much memory and many descriptors; a number out of range.
    #[test]
    fn a_processs_use() {
        const BYTES: usize = 64 << 20;
        assert!(Process::of(u32::MAX).is_none());
        let own = Process::of(std::process::id()).unwrap();
        let before = own.usage().unwrap();
        let work = || work_until(|| thread_time() > Duration::from_millis(100));
        thread::spawn(work).join().unwrap();
        let ran = own.usage().unwrap().since(before).ran;
        assert!(ran > Duration::from_millis(50), "{ran:?}");
        let memory = black_box(vec![1_u8; BYTES]);
        let files = (0..100).map(|_| File::open("/proc/self/stat").unwrap());
        let files: Vec<_> = files.collect();
        let after = own.usage().unwrap();
        assert!(
            after.resident > BYTES as u64 && after.resident < 1 << 40,
            "{after:?}"
        );
        assert!((101..100_000).contains(&after.descriptors), "{after:?}");
        assert!(after.voluntary + after.involuntary > 0, "{after:?}");
        drop((memory, files));
    }
}
