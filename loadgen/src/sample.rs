//! Placeholder until merged.
use std::time::Duration;
use crate::results::Usage;
pub(crate) struct Process(u32);
impl Process {
    pub(crate) fn new(pid: u32) -> Self { Self(pid) }
    pub(crate) fn usage(&self) -> Option<Usage> {
        let used = crate::cpu::time_of(self.0)?;
        Some(Usage { user: used, ..Usage::default() })
    }
}
pub(crate) fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
