//! What a sequence of plaintexts means: a second reading of `PROTOCOL.md` §1.3.
//!
//! It shares no code with the library, so that a mistake in one shows in the other.

/// What one side has told the other so far, once its records are opened.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Whole messages, in order.
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) fin: bool,
    pub(crate) done: bool,
    /// How it ended, if it did: nothing behind that counts.
    pub(crate) over: Option<Over>,
    /// The chunks of a message whose END has not come.
    unfinished: Option<Vec<u8>>,
}

/// Why nothing more counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// The sender gave up.
    Abort,
    /// The sender broke the protocol.
    Fault,
}

const MOST: usize = 16_384;

impl Told {
    /// Takes the next plaintext. `asked` says whether the receiver's FIN has been sent.
    pub(crate) fn take(&mut self, plaintext: &[u8], asked: bool) {
        if self.over.is_none() && self.step(plaintext, asked).is_none() {
            self.over = Some(Over::Fault);
        }
    }

    /// `None` for what no peer that follows the protocol sends.
    fn step(&mut self, plaintext: &[u8], asked: bool) -> Option<()> {
        let len = plaintext.iter().rposition(|&byte| byte != 0)?;
        let payload = &plaintext[..len];
        let least = match plaintext[len] {
            1 | 7 => 1,
            8 => 4,
            _ => 0,
        };
        let most = match plaintext[len] {
            1 | 2 | 8 => MOST,
            7 => 257,
            _ => 0,
        };
        if len < least || len > most {
            return None;
        }
        let kind = plaintext[len];
        match kind {
            1 | 2 | 3 | 8 if self.fin => return None,
            3 | 8 if self.unfinished.is_some() => return None,
            6 if self.done || !asked => return None,
            1 | 2 => {
                let mut message = self.unfinished.take().unwrap_or_default();
                message.extend_from_slice(payload);
                match kind {
                    1 => self.unfinished = Some(message),
                    _ => self.messages.push(message),
                }
            }
            3 => self.fin = true,
            4 | 5 => {}
            6 => self.done = true,
            7 => self.over = Some(Over::Abort),
            8 => self.messages.extend(unpack(payload)?),
            _ => return None,
        }
        Some(())
    }
}

/// The messages of a pack.
pub(crate) fn unpack(mut payload: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut messages = Vec::new();
    while !payload.is_empty() {
        let (length, rest) = payload.split_first_chunk()?;
        let (message, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        messages.push(message.to_vec());
        payload = rest;
    }
    (2..=256).contains(&messages.len()).then_some(messages)
}
