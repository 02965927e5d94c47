//! What this machine has: memory, descriptors, and how much of it TCP takes.
//!
//! Where the system does not tell, the answer is what Linux does by default. It decides
//! nothing. Read next: [`crate::limits::ceiling`].

use std::fs::read_to_string;

use rustix::process::{Resource, getrlimit};

use crate::limits::ceiling::{Machine, Tcp};

/// Looks at the machine.
pub fn look() -> Machine {
    let descriptors = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    Machine {
        memory: memory(),
        descriptors: descriptors.try_into().unwrap_or(usize::MAX),
        tcp: tcp(),
    }
}

/// What TCP takes, as the system is set up.
pub(super) fn tcp() -> Tcp {
    let number = |file: &str, index: usize, usual: usize| {
        let text = read_to_string(format!("/proc/sys/net/{file}")).unwrap_or_default();
        let number = text.split_whitespace().nth(index);
        number.and_then(|text| text.parse().ok()).unwrap_or(usual)
    };
    // The kernel doubles what a program sets, because it counts its own overhead, too.
    let set = |file| 2 * number(file, 0, 212_992);
    Tcp {
        receive_first: number("ipv4/tcp_rmem", 1, 128 << 10),
        receive_tuned: number("ipv4/tcp_rmem", 2, 6 << 20),
        send_tuned: number("ipv4/tcp_wmem", 2, 4 << 20),
        receive_set: set("core/rmem_max"),
        send_set: set("core/wmem_max"),
    }
}

/// Bytes of memory that the process may use: the machine's, or less where a control group
/// says so.
fn memory() -> usize {
    let text = read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let total = total.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    let group = read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = group.lines().find_map(|line| line.strip_prefix("0::"));
    let group = group.unwrap_or("/");
    let files = [
        format!("/sys/fs/cgroup{group}/memory.max"),
        "/sys/fs/cgroup/memory.max".into(),
        "/sys/fs/cgroup/memory/memory.limit_in_bytes".into(),
    ];
    let limits = files
        .iter()
        .filter_map(|file| read_to_string(file).ok()?.trim().parse().ok());
    let total = total.map_or(usize::MAX, |kilobytes| kilobytes << 10);
    limits.fold(total, usize::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the answers can be true. Method: each is more than nothing, and what the kernel
    /// chooses is no less than what it begins with.
    #[test]
    fn answers_are_plausible() {
        let machine = look();
        assert!(machine.memory > 64 << 20, "{machine:?}");
        assert!(machine.descriptors >= 64, "{machine:?}");
        let tcp = machine.tcp;
        assert!(tcp.receive_tuned >= tcp.receive_first, "{tcp:?}");
        assert!(tcp.send_tuned > 4096 && tcp.send_set > 4096, "{tcp:?}");
    }
}
