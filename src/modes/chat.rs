//! Chat: the input goes to every peer, and what peers send goes to the output. Pipes and
//! files are chats, too.

use crate::endpoint::mode::{HandedOn, Message, Mode, Receivers};
use crate::endpoint::transport::{LocalId, PeerId};
use crate::endpoint::{Context, Notice};

/// Where to write what peers send.
const OUTPUT: LocalId = LocalId::FIRST;

/// Joins the endpoint's first local with all peers.
#[derive(Debug, Clone, Copy)]
pub struct Chat {
    answers_fin: bool,
}

impl Chat {
    /// `answers_fin` says what a peer's FIN leads to: our own at once (a person types,
    /// or there is no input), or none until our own input has ended (a pipe or a file).
    pub fn new(answers_fin: bool) -> Self {
        Self { answers_fin }
    }
}

impl Mode for Chat {
    fn receivers(&self) -> Receivers {
        Receivers::Local(OUTPUT)
    }

    fn message(&mut self, context: &mut Context, peer: PeerId, message: Message<'_>) {
        context.write(OUTPUT, peer, message);
    }

    fn fin(&mut self, context: &mut Context, peer: PeerId) -> HandedOn {
        if self.answers_fin {
            context.finish(peer);
        }
        HandedOn::Written(OUTPUT)
    }

    fn input(&mut self, context: &mut Context, _: LocalId, message: Message<'_>) {
        if context.broadcast(None, message) == 0 {
            context.tell(Notice::NobodyThere);
        }
    }

    fn input_end(&mut self, context: &mut Context, _: LocalId) {
        context.finish_all();
    }
}
