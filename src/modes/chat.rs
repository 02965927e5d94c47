//! Chat: what the input gives goes to every peer, what peers say goes to the
//! output. Pipes and files are chats too.

use crate::endpoint::mode::{HandedOn, Message, Mode, Receivers};
use crate::endpoint::transport::{LocalId, PeerId};
use crate::endpoint::{Core, Notice};

/// Joins an input and an output with all peers.
#[derive(Debug, Clone, Copy)]
pub struct Chat {
    output: LocalId,
    answers_fin: bool,
}

impl Chat {
    /// Writes what peers say to `output`. `answers_fin` says what a peer's FIN
    /// leads to: our own at once (somebody types, or there is no input), or none
    /// until our own input has ended (a pipe or a file).
    pub fn new(output: LocalId, answers_fin: bool) -> Self {
        Self {
            output,
            answers_fin,
        }
    }
}

impl Mode for Chat {
    fn receivers(&self) -> Receivers {
        Receivers::Local(self.output)
    }

    fn message(&mut self, core: &mut Core, _: PeerId, message: Message<'_>) {
        core.write(self.output, message);
    }

    fn fin(&mut self, core: &mut Core, peer: PeerId) -> HandedOn {
        if self.answers_fin {
            core.finish(peer);
        }
        HandedOn::Written(self.output)
    }

    fn input(&mut self, core: &mut Core, _: LocalId, message: Message<'_>) {
        if core.broadcast(None, message) == 0 {
            core.tell(Notice::NobodyThere);
        }
    }

    fn input_end(&mut self, core: &mut Core, _: LocalId) {
        core.finish_all();
    }
}
