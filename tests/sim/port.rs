//! What an endpoint is handed as its sockets: its ends of links, and its plain
//! streams.

use std::collections::BTreeMap;
use std::io::{self, IoSlice, IoSliceMut};

use sealwire::{Cut, InputKind, LocalId, PeerId, Read, Transport};

pub(crate) use crate::local::Plain;
use crate::net::{Net, Side};

/// A pipe or a file.
pub(crate) const PIPE: InputKind = InputKind {
    cut: Cut::Blocks,
    terminal: false,
};
/// A pipe or a file where each line is a message.
pub(crate) const LINES: InputKind = InputKind {
    cut: Cut::Lines,
    terminal: false,
};
/// A terminal.
pub(crate) const TERMINAL: InputKind = InputKind {
    cut: Cut::Lines,
    terminal: true,
};

impl Plain {
    /// Gives `bytes`, then ends; takes everything.
    pub(crate) fn pipe(bytes: &[u8]) -> Self {
        Self {
            input_ended: true,
            ..Self::open(bytes)
        }
    }

    /// Accepts no more than `room` bytes of output.
    pub(crate) fn room(self, room: usize) -> Self {
        Self { room, ..self }
    }
}

/// Everything that one endpoint can read and write. It uses open ends only.
pub(crate) struct Port<'a> {
    pub(crate) net: &'a mut Net,
    pub(crate) ends: &'a mut BTreeMap<PeerId, Side>,
    pub(crate) locals: &'a mut [Plain],
    /// Its ends of the links of locals that belong to a peer.
    pub(crate) wires: &'a mut BTreeMap<LocalId, Side>,
}

impl Transport for Port<'_> {
    fn read(&mut self, peer: PeerId, into: &mut [IoSliceMut<'_>]) -> io::Result<Read> {
        let mut buffer = vec![0; into.iter().map(|slice| slice.len()).sum()];
        assert!(!buffer.is_empty(), "a read without room looks like the end");
        let (bytes, drained) = self.net.read(self.ends[&peer], &mut buffer)?;
        let mut rest = &buffer[..bytes];
        for slice in into {
            let (part, behind) = rest.split_at(rest.len().min(slice.len()));
            slice[..part.len()].copy_from_slice(part);
            rest = behind;
        }
        Ok(Read { bytes, drained })
    }

    fn write(&mut self, peer: PeerId, bytes: &[u8]) -> io::Result<usize> {
        assert!(!bytes.is_empty());
        self.net.write(self.ends[&peer], bytes)
    }

    fn shut_down(&mut self, peer: PeerId) {
        self.net.shut_down(self.ends[&peer]);
    }

    fn reset(&mut self, peer: PeerId) {
        self.net.reset(self.ends[&peer].link);
        self.close(peer);
    }

    fn close(&mut self, peer: PeerId) {
        let end = self.ends.remove(&peer).expect("closed once");
        self.net.close(end);
    }

    fn read_local(&mut self, local: LocalId, into: &mut [u8]) -> io::Result<Read> {
        if let Some(&end) = self.wires.get(&local) {
            let (bytes, drained) = self.net.read(end, into)?;
            return Ok(Read { bytes, drained });
        }
        self.locals[local.index()].read(into)
    }

    fn write_local(&mut self, local: LocalId, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Some(&end) = self.wires.get(&local) {
            return self.net.write(
                end,
                &bytes
                    .iter()
                    .flat_map(|part| part.iter().copied())
                    .collect::<Vec<_>>(),
            );
        }
        self.locals[local.index()].write(bytes)
    }

    fn shut_down_local(&mut self, local: LocalId) -> io::Result<()> {
        let end = self.wires[&local];
        self.net.error(end)?;
        self.net.shut_down(end);
        Ok(())
    }

    fn flush_local(&mut self, local: LocalId) -> io::Result<()> {
        self.net.flush(self.wires[&local])
    }

    fn close_local(&mut self, local: LocalId) {
        let end = self.wires.remove(&local).expect("closed once");
        self.net.close(end);
    }

    fn reset_local(&mut self, local: LocalId) {
        // It may have no connection yet.
        if let Some(end) = self.wires.remove(&local) {
            self.net.break_off(end);
            self.net.close(end);
        }
    }
}
