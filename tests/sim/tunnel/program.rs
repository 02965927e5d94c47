//! A program behind one end of a tunnel.

use std::io::ErrorKind;

use crate::net::Side;
use crate::world::World;

/// A program behind one end of a tunnel.
#[derive(Debug)]
pub(super) struct Program {
    end: Side,
    /// What it has still to say; then it ends its stream, if it `ends`.
    pub(super) to_say: Vec<u8>,
    pub(super) ends: bool,
    /// Most bytes that it reads at a time.
    pub(super) pace: usize,
    /// It says nothing before it has heard the other's end.
    pub(super) listens_first: bool,
    pub(super) said: usize,
    pub(super) shut: bool,
    pub(super) heard: Vec<u8>,
    /// How what it hears has ended: with the stream, or with an error.
    pub(super) ended: Option<Result<(), ErrorKind>>,
    /// Writing has failed: it only reads.
    deaf: bool,
    pub(super) gone: bool,
}

impl Program {
    pub(super) fn new(end: Side, to_say: Vec<u8>) -> Self {
        Self {
            end,
            to_say,
            ends: true,
            pace: usize::MAX,
            listens_first: false,
            said: 0,
            shut: false,
            heard: Vec::new(),
            ended: None,
            deaf: false,
            gone: false,
        }
    }

    /// Says and hears what it can. It closes when both directions have ended.
    pub(super) fn act(&mut self, world: &mut World) {
        if self.gone {
            return;
        }
        self.hear(world);
        if !self.listens_first || self.ended.is_some() {
            self.say(world);
        }
        let failed = matches!(self.ended, Some(Err(_)));
        if failed || self.shut && self.ended.is_some() {
            self.leave(world);
        }
    }

    fn say(&mut self, world: &mut World) {
        while self.said < self.to_say.len() && !self.deaf {
            match world.net.write(self.end, &self.to_say[self.said..]) {
                Ok(count) => self.said += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.deaf = true,
            }
        }
        if self.ends && !self.shut {
            self.shut = true;
            if !self.deaf {
                world.net.shut_down(self.end);
            }
        }
    }

    fn hear(&mut self, world: &mut World) {
        let mut left = self.pace;
        while self.ended.is_none() && left > 0 {
            let mut bytes = vec![0; left.min(1 << 16)];
            match world.net.read(self.end, &mut bytes) {
                Ok((0, _)) => self.ended = Some(Ok(())),
                Ok((count, _)) => {
                    self.heard.extend_from_slice(&bytes[..count]);
                    left -= count;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => self.ended = Some(Err(error.kind())),
            }
        }
    }

    /// Closes: if it has not read all, that is a reset.
    pub(super) fn leave(&mut self, world: &mut World) {
        self.gone = true;
        world.net.close(self.end);
    }

    pub(super) fn reset(&mut self, world: &mut World) {
        self.gone = true;
        world.net.break_off(self.end);
        world.net.close(self.end);
    }
}
