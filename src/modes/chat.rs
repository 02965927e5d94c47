//! Chat: what the input gives goes to every peer, what peers say goes to the
//! output. Pipes and files are chats too.

use super::screen::Screen;
use crate::endpoint::mode::{HandedOn, Message, Mode, Receivers};
use crate::endpoint::transport::{LocalId, PeerId};
use crate::endpoint::{Core, Notice};

/// Where what peers say is written.
const OUTPUT: LocalId = LocalId::FIRST;

/// Joins the endpoint's first local with all peers.
#[derive(Debug, Clone)]
pub struct Chat {
    answers_fin: bool,
    screen: Option<Screen>,
}

impl Chat {
    /// `answers_fin` says what a peer's FIN leads to: our own at once (somebody
    /// types, or there is no input), or none until our own input has ended (a pipe
    /// or a file).
    pub fn new(answers_fin: bool) -> Self {
        Self {
            answers_fin,
            screen: None,
        }
    }

    /// The output is a terminal: what peers say is marked with their
    /// [names](Core::name), and harmless ([`Screen`]).
    pub fn on_screen(self) -> Self {
        let screen = Some(Screen::default());
        Self { screen, ..self }
    }
}

impl Mode for Chat {
    fn receivers(&self) -> Receivers {
        Receivers::Local(OUTPUT)
    }

    fn message(&mut self, core: &mut Core, peer: PeerId, message: Message<'_>) {
        let Some(screen) = &mut self.screen else {
            return core.write(OUTPUT, message);
        };
        let name = core.name(peer).unwrap_or("a peer");
        let mut shown = String::new();
        for &span in message.spans() {
            screen.show(peer, name, core.bytes(span), &mut shown);
        }
        core.write_bytes(OUTPUT, shown.as_bytes());
    }

    fn fin(&mut self, core: &mut Core, peer: PeerId) -> HandedOn {
        if let Some(screen) = &mut self.screen {
            let mut rest = String::new();
            screen.end(peer, &mut rest);
            core.write_bytes(OUTPUT, rest.as_bytes());
        }
        if self.answers_fin {
            core.finish(peer);
        }
        HandedOn::Written(OUTPUT)
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
