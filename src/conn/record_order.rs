//! What may come in which order (`PROTOCOL.md` §1.3): the rules for the records
//! of one direction, once they are authentic.

use crate::error::{Abort, PeerFault, Reason};
use crate::wire::pack::PackReader;
use crate::wire::record::{self, Kind};

/// What a record means for the driver of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// The first `len` bytes of the plaintext are a chunk of a message.
    Chunk {
        /// Bytes of payload.
        len: usize,
        /// The message is whole with it.
        last: bool,
    },
    /// The plaintext holds these whole messages.
    Pack(PackReader),
    /// The peer has sent FIN. Once everything before it is handed on, the driver says so
    /// ([`Connection::handed_on`](super::Connection::handed_on)).
    Fin,
    /// Nothing to act on: the connection answers it, or it came after an end.
    Nothing,
}

/// How far the receiving direction has come.
#[derive(Debug, Default)]
pub(super) struct RecordOrder {
    inside: bool,
    pub(super) fin: bool,
    pub(super) done: bool,
}

/// A record that is in order.
pub(super) enum Step {
    /// For the driver.
    Meant(Received),
    Ping,
    Done,
    Abort(Abort),
}

impl RecordOrder {
    /// Takes a decrypted record; `asked` means that our own FIN is on its way, so that a DONE
    /// may come.
    pub(super) fn step(&mut self, plaintext: &[u8], asked: bool) -> Result<Step, PeerFault> {
        let (kind, len) = record::parse_plaintext(plaintext)?;
        match kind {
            Kind::Part | Kind::End | Kind::Pack | Kind::Fin if self.fin => Err(PeerFault::AfterFin),
            Kind::Part | Kind::End => {
                self.inside = kind == Kind::Part;
                let last = kind == Kind::End;
                Ok(Step::Meant(Received::Chunk { len, last }))
            }
            Kind::Pack if self.inside => Err(PeerFault::PackInside),
            Kind::Pack => {
                let messages = PackReader::new(&plaintext[..len])?;
                Ok(Step::Meant(Received::Pack(messages)))
            }
            Kind::Fin if self.inside => Err(PeerFault::FinInside),
            Kind::Fin => {
                self.fin = true;
                Ok(Step::Meant(Received::Fin))
            }
            Kind::Done if self.done || !asked => Err(PeerFault::DoneUnasked),
            Kind::Done => {
                self.done = true;
                Ok(Step::Done)
            }
            Kind::Ping => Ok(Step::Ping),
            Kind::Pong => Ok(Step::Meant(Received::Nothing)),
            Kind::Abort => Ok(Step::Abort(Abort {
                reason: Reason(plaintext[0]),
                text: plaintext[1..len].to_vec(),
            })),
        }
    }
}
