//! What other processes see of this one: its memory, its arguments, its environment.
//!
//! Linux shows all three under `/proc/PID` to every process of the same user, and the
//! arguments to all users. It may also write the memory of a process that crashes to a
//! file. [`Exposure::end`] makes the system show the memory to root alone and write no such
//! file. [`Exposure::wipe_arguments`] and [`Exposure::wipe_environment`] overwrite keys
//! where the system put them at the start. Until then other processes can read them;
//! afterwards only the derived secrets are in memory ([`sealwire::crypto`]).
//!
//! They overwrite through `/proc/self/mem`, which is sound while the process has one
//! thread: Rust's library copies out of those strings on each call, and keeps no
//! reference. The strings keep their place and length, so later readers find valid
//! strings. Without `/proc` they stay as they are.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use zeroize::Zeroizing;

use crate::key_text;
use crate::keys::VARIABLES;
use crate::typed_keys::{self, Place};

/// What other processes can see of this one, from its start.
#[derive(Debug)]
#[must_use]
pub struct Exposure {
    /// `None` where the system does not say.
    start: Option<Start>,
}

/// Our memory, and where in it the system put the arguments and the environment.
#[derive(Debug)]
struct Start {
    memory: File,
    arguments: Range<u64>,
    environment: Range<u64>,
}

impl Exposure {
    /// Ends it for this process's memory.
    pub fn end() -> Self {
        // First: afterwards only root may open the memory.
        let start = Start::find().ok();
        // Linux never refuses this.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        Self { start }
    }

    /// Overwrites the keys in the arguments, but not the names of files that stand for
    /// keys. Copy the arguments before. The process must have one thread.
    pub fn wipe_arguments(&self) {
        // No other way exists, so keys that this cannot overwrite stay.
        let _ = self.start.as_ref().map(Start::wipe_arguments);
    }

    /// Does the same for the environment, and closes the memory.
    pub fn wipe_environment(&mut self) {
        let _ = self.start.take().map(|start| start.wipe_environment());
    }

    /// Lets debuggers read the memory again, and the system write it to a file.
    pub fn allow_core_dumps(self) {
        let _ = set_dumpable_behavior(DumpableBehavior::Dumpable);
    }
}

impl Start {
    fn find() -> io::Result<Self> {
        let memory = File::options()
            .read(true)
            .write(true)
            .open("/proc/self/mem")?;
        let stat = fs::read("/proc/self/stat")?;
        let [from, to, env_from, env_to] = ranges(&stat).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self {
            memory,
            arguments: from..to,
            environment: env_from..env_to,
        })
    }

    fn wipe_arguments(&self) -> io::Result<()> {
        let text = self.read(&self.arguments)?;
        let words = strings(&text);
        for Place { word, from, .. } in typed_keys::places(words.iter().map(|word| word.1)) {
            let (at, word) = words[word];
            self.wipe(self.arguments.start + at + from as u64, &word[from..])?;
        }
        Ok(())
    }

    fn wipe_environment(&self) -> io::Result<()> {
        let text = self.read(&self.environment)?;
        for (at, variable) in strings(&text) {
            let value = |name: &&str| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"=");
            if let Some(value) = VARIABLES.iter().find_map(value) {
                let from = variable.len() - value.len();
                self.wipe(self.environment.start + at + from as u64, value)?;
            }
        }
        Ok(())
    }

    fn read(&self, range: &Range<u64>) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut text = Zeroizing::new(vec![0; (range.end - range.start) as usize]);
        self.memory.read_exact_at(&mut text, range.start)?;
        Ok(text)
    }

    /// Overwrites `key`, which is at this address.
    fn wipe(&self, address: u64, key: &[u8]) -> io::Result<()> {
        if !key_text::is_literal(key) {
            return Ok(());
        }
        self.memory.write_all_at(&vec![b'*'; key.len()], address)
    }
}

/// The strings in `text`, each with its start.
fn strings(text: &[u8]) -> Vec<(u64, &[u8])> {
    let mut next = 0;
    let strings = text.split(|&byte| byte == 0).map(|string| {
        let at = next;
        next += string.len() as u64 + 1;
        (at, string)
    });
    strings.collect()
}

/// The start and the end of the arguments and of the environment: fields 48 to 51 of
/// `stat` (proc_pid_stat(5)).
fn ranges(stat: &[u8]) -> Option<[u64; 4]> {
    // The second field is the program's name, which may hold any characters, `)` too.
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = str::from_utf8(&stat[end + 1..]).ok()?;
    let fields = rest.split_whitespace().skip(48 - 3);
    let numbers: Vec<u64> = fields
        .take(4)
        .map_while(|field| field.parse().ok())
        .collect();
    let ranges: [u64; 4] = numbers.try_into().ok()?;
    let in_order = ranges[0] <= ranges[1] && ranges[2] <= ranges[3];
    (in_order && ranges[0] > 0).then_some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the four fields are found under any name of the program, and a `stat` without
    /// them gives none. Method: a name that looks like fields.
    #[test]
    fn fields_of_stat() {
        let stat = |last: &str| {
            let fields: Vec<String> = (3..48).map(|field| field.to_string()).collect();
            format!("7 (a) 1 2) {} {last} 0\n", fields.join(" "))
        };
        let wanted = Some([100, 200, 200, 300]);
        assert_eq!(ranges(stat("100 200 200 300").as_bytes()), wanted);
        for last in ["0 0 0 0", "200 100 200 300", "100 200 x 300", "100"] {
            assert_eq!(ranges(stat(last).as_bytes()), None, "{last}");
        }
        assert_eq!(ranges(b"7 (a) R 1"), None);
    }
}
