//! What this machine has: memory, descriptors, and how much of it TCP takes.
//!
//! Where the system does not tell, the answer is what Linux does by default. It decides
//! nothing. Read next: [`crate::limits::ceiling`].

use std::fs::read_to_string;
use std::path::Path;

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
    let groups = read_to_string("/proc/self/cgroup").unwrap_or_default();
    let least = least_of_groups(Path::new("/sys/fs/cgroup"), &groups);
    let total = total.map_or(usize::MAX, |kilobytes| kilobytes << 10);
    least.map_or(total, |least| total.min(least))
}

/// The least limit of the control groups that a process is in, and of those above them.
/// `groups` is its `/proc/PID/cgroup`; `mounted` is where their files are.
fn least_of_groups(mounted: &Path, groups: &str) -> Option<usize> {
    let limits = groups.lines().flat_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, group) = (fields.next(), fields.next().unwrap_or("/"));
        // Version 2 has one tree, and version 1 one for each set of controllers.
        let is_memory = |controllers: &str| controllers.split(',').any(|name| name == "memory");
        let place = match controllers {
            Some("") => Some((mounted.into(), "memory.max")),
            Some(names) if is_memory(names) => {
                Some((mounted.join("memory"), "memory.limit_in_bytes"))
            }
            _ => None,
        };
        let files = place.map(|(tree, file)| {
            let group = tree.join(group.trim_start_matches('/'));
            let above = group.ancestors().take_while(|path| path.starts_with(&tree));
            above.map(|path| path.join(file)).collect()
        });
        files.unwrap_or_else(Vec::new)
    });
    // "max" is no number, and no limit.
    limits
        .filter_map(|file| read_to_string(file).ok()?.trim().parse().ok())
        .min()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Goal: a limit of any group above the process's own counts, in both versions of control
    /// groups. Method: trees of files.
    #[test]
    fn groups_above_count() {
        let mounted = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let file = mounted.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        let least = |groups| least_of_groups(mounted.path(), groups);
        assert_eq!(least("0::/a/b\n"), None);
        write("memory.max", "900\n");
        write("a/memory.max", "500\n");
        write("a/b/memory.max", "max\n");
        write("c/memory.max", "1\n");
        assert_eq!(least("0::/a/b\n"), Some(500));
        assert_eq!(least("0::/\n"), Some(900));
        write("memory/d/memory.limit_in_bytes", "300\n");
        write("memory/x/memory.limit_in_bytes", "1\n");
        let old = "4:cpu,cpuacct:/x\n3:memory:/d/e\n0::/\n";
        assert_eq!(least(old), Some(300));
    }

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
