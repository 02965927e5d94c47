//! A peer that we play by hand: it seals what the fuzzer says, with the plain crates, and
//! opens and judges what comes back.

use aes::Aes256;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit, block_padding::NoPadding};
use hmac::Mac;
use sealwire::conn::FirstSecrets;
use sealwire::limits::{BLOCK, MAX_BLOCKS, MAX_PAYLOAD, RECORD_HEADER, TAG};
use sealwire::{Secret, SecretPair};

use crate::plain::PlainKeys;
use crate::script::Script;
use crate::told::{Over, Told};

/// Our side of a native connection, behind its handshake.
pub(crate) struct Hand {
    seal: PlainKeys,
    open: PlainKeys,
    sealed: u64,
    opened: u64,
    /// The start of a record whose rest has not come.
    partial: Vec<u8>,
    /// What we have told the other side, as far as it must understand it.
    pub(crate) said: Told,
    /// What the other side has told us.
    pub(crate) heard: Told,
    /// Something that we sent does not hold, and nothing behind it counts.
    pub(crate) spoilt: bool,
    /// We do not know whether the other side must end this: a DONE may have come before its
    /// FIN was sealed, or what does not hold may not be whole. `said` has the most that it may
    /// understand.
    pub(crate) unsure: bool,
    /// What the other side seals reaches us before we seal more.
    pub(crate) prompt: bool,
}

/// The first secrets of both directions, seen from the other side.
pub(crate) fn first(secrets: &[[u8; 32]; 2]) -> FirstSecrets<'_> {
    FirstSecrets {
        to_us: &secrets[0],
        from_us: &secrets[1],
    }
}

/// The two keys of everything here.
pub(crate) fn secrets() -> SecretPair {
    SecretPair {
        confkey: Secret::new(vec![7; 32]),
        authkey: Secret::new(vec![8; 32]),
    }
}

impl Hand {
    /// One whose first secrets are these: of what it seals, and of what it opens.
    pub(crate) fn new([seal, open]: &[[u8; 32]; 2]) -> Self {
        Self {
            seal: PlainKeys::new(seal, 0),
            open: PlainKeys::new(open, 0),
            sealed: 0,
            opened: 0,
            partial: Vec::new(),
            said: Told::default(),
            heard: Told::default(),
            spoilt: false,
            unsure: false,
            prompt: false,
        }
    }

    /// Whether the other side must have ended this, once it has read everything.
    pub(crate) fn must_be_over(&self) -> bool {
        !self.unsure && (self.spoilt || self.said.over.is_some())
    }

    /// Any bytes that are no record of ours.
    pub(crate) fn junk(&mut self) {
        self.spoilt = true;
        self.unsure = true;
    }

    /// The next record, which has this plaintext.
    pub(crate) fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        if !self.spoilt && self.said.over.is_none() {
            self.unsure |= is_done(plaintext) && !self.heard.fin && !self.prompt;
            self.said.take(plaintext, self.heard.fin || self.unsure);
        }
        let blocks = (plaintext.len() / BLOCK) as u16;
        let mut record = blocks.to_be_bytes().to_vec();
        record.resize(RECORD_HEADER + plaintext.len() + TAG, 0);
        let body = &mut record[RECORD_HEADER..];
        // The plain crate takes payload and kind apart; of any block at all, the last byte can
        // stand for the kind.
        let (kind, payload) = plaintext.split_last().expect("one block at least");
        self.seal.seal(self.sealed, *kind, payload, body);
        self.sealed += 1;
        record
    }

    /// The next records, as the script says: any plaintext, a message, a pack, or one of the
    /// short ones. Now and then one is changed or comes twice.
    pub(crate) fn records(&mut self, script: &mut Script<'_>) -> Vec<u8> {
        let choice = script.byte();
        let changed = choice / 8 == 30;
        let twice = choice / 8 == 31;
        self.spoilt |= changed;
        let mut records = self.chosen(choice % 8, script);
        if changed {
            let first = record_len(&records) - RECORD_HEADER;
            let bit = usize::from(script.word()) % (8 * first);
            records[RECORD_HEADER + bit / 8] ^= 1 << (bit % 8);
        }
        if twice {
            records.extend(records.clone());
            self.spoilt = true;
        }
        records
    }

    fn chosen(&mut self, choice: u8, script: &mut Script<'_>) -> Vec<u8> {
        match choice {
            0 => self.seal(&padded(&script.lump(), 0)),
            1 => {
                let (kind, padding) = (script.byte(), script.byte());
                self.kind(script.lump(), kind, padding)
            }
            2 | 3 => self.message(&script.lump()),
            4 => self.pack(script),
            _ => {
                let kind = script.pick(&[3, 4, 5, 6, 7]);
                let payload = match kind {
                    7 => script.lump(),
                    _ => Vec::new(),
                };
                self.kind(payload, kind, 0)
            }
        }
    }

    fn kind(&mut self, mut payload: Vec<u8>, kind: u8, padding: u8) -> Vec<u8> {
        payload.push(kind);
        self.seal(&padded(&payload, padding.into()))
    }

    /// The records of a message.
    pub(crate) fn message(&mut self, message: &[u8]) -> Vec<u8> {
        let mut records = Vec::new();
        let mut chunks = message.chunks(MAX_PAYLOAD).peekable();
        while let Some(chunk) = chunks.next() {
            let kind = if chunks.peek().is_some() { 1 } else { 2 };
            records.extend(self.kind(chunk.to_vec(), kind, 0));
        }
        match message.is_empty() {
            true => self.kind(Vec::new(), 2, 0),
            false => records,
        }
    }

    fn pack(&mut self, script: &mut Script<'_>) -> Vec<u8> {
        let (count, short) = (script.byte(), script.byte());
        let mut payload = Vec::new();
        for n in 0..usize::from(count) + 1 {
            let message = match short {
                0..200 => vec![n as u8; usize::from(short) % 70],
                _ if script.has_ended() => break,
                _ => script.lump(),
            };
            payload.extend_from_slice(&(message.len() as u16).to_be_bytes());
            payload.extend(message);
        }
        payload.truncate(MAX_PAYLOAD);
        self.kind(payload, 8, 0)
    }

    /// Opens what came.
    ///
    /// # Panics
    ///
    /// If it is not what a peer that follows the protocol sends.
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        while self.partial.len() >= RECORD_HEADER {
            let end = record_len(&self.partial);
            let blocks = ((end - RECORD_HEADER - TAG) / BLOCK) as u16;
            assert!((1..=MAX_BLOCKS).contains(&blocks.into()), "{blocks} blocks");
            if self.partial.len() < end {
                break;
            }
            let record: Vec<u8> = self.partial.drain(..end).collect();
            let plaintext = self.open(blocks, &record[RECORD_HEADER..]);
            assert_eq!(self.heard.over, None, "it speaks behind its end");
            self.heard.take(&plaintext, self.said.fin);
            assert_ne!(self.heard.over, Some(Over::Fault), "{plaintext:?}");
        }
    }

    fn open(&mut self, blocks: u16, body: &[u8]) -> Vec<u8> {
        let (text, tag) = body.split_at(body.len() - TAG);
        let mac = self.open.mac(self.opened, blocks, text);
        assert_eq!(mac.finalize().into_bytes()[..TAG], *tag, "a wrong tag");
        let mut text = text.to_vec();
        let keys = (&self.open.0[0].into(), &self.open.iv(self.opened));
        cbc::Decryptor::<Aes256>::new(keys.0, keys.1)
            .decrypt_padded::<NoPadding>(&mut text)
            .expect("whole blocks");
        self.opened += 1;
        text
    }
}

/// Bytes of the record at the start of `bytes`.
fn record_len(bytes: &[u8]) -> usize {
    let blocks = u16::from_be_bytes([bytes[0], bytes[1]]);
    RECORD_HEADER + usize::from(blocks) * BLOCK + TAG
}

fn is_done(plaintext: &[u8]) -> bool {
    plaintext[0] == 6 && plaintext[1..].iter().all(|&byte| byte == 0)
}

/// `plaintext` in whole blocks, and `more` of them, as far as a record has room.
fn padded(plaintext: &[u8], more: usize) -> Vec<u8> {
    let most = MAX_BLOCKS * BLOCK;
    let mut padded = plaintext[..plaintext.len().min(most)].to_vec();
    let blocks = (padded.len().div_ceil(BLOCK) + more).clamp(1, MAX_BLOCKS);
    padded.resize(blocks * BLOCK, 0);
    padded
}
