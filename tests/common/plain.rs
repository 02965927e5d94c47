//! Sealing as `PROTOCOL.md` §1.3 and §1.4 say it, one record at a time, with the plain `aes`,
//! `cbc`, `hmac` and `hkdf` crates: a new cipher, a new MAC and a new AES for the IV for every
//! record, as in these crates' examples. It is slow, and short enough to compare with that text by
//! eye.

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit, KeyIvInit};
use cbc::cipher::{BlockModeEncrypt, block_padding::NoPadding};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sealwire::limits::{BLOCK, TAG};
use sha2::Sha256;

/// The secret of the epoch after that of `secret`.
pub(crate) fn next_epoch(secret: &[u8; 32]) -> [u8; 32] {
    let mut next = [0; 32];
    expand(secret, "sealwire/1 next epoch", &mut next);
    next
}

fn expand(secret: &[u8; 32], label: &str, out: &mut [u8]) {
    let hkdf = Hkdf::<Sha256>::from_prk(secret).expect("32 bytes");
    hkdf.expand(label.as_bytes(), out).expect("a few bytes");
}

/// `k_enc`, `k_mac` and `k_iv` of an epoch.
pub(crate) struct PlainKeys(pub(crate) [[u8; 32]; 3]);

impl PlainKeys {
    /// The keys of the epoch that comes `later` epochs after that of `secret`.
    pub(crate) fn new(secret: &[u8; 32], later: u64) -> Self {
        let secret = (0..later).fold(*secret, |secret, _| next_epoch(&secret));
        let mut keys = [[0; 32]; 3];
        expand(&secret, "sealwire/1 record keys", keys.as_flattened_mut());
        Self(keys)
    }

    pub(crate) fn iv(&self, sequence: u64) -> aes::Block {
        let mut block = aes::Block::default();
        block[8..].copy_from_slice(&sequence.to_be_bytes());
        Aes256::new(&self.0[2].into()).encrypt_block(&mut block);
        block
    }

    /// The MAC of a record, not finished.
    pub(crate) fn mac(&self, sequence: u64, blocks: u16, ciphertext: &[u8]) -> Hmac<Sha256> {
        <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0[1])
            .expect("any key")
            .chain_update(ciphertext)
            .chain_update(sequence.to_be_bytes())
            .chain_update(blocks.to_be_bytes())
    }

    /// Fills `body`, as long as a record is without its length field.
    pub(crate) fn seal(&self, sequence: u64, kind: u8, payload: &[u8], body: &mut [u8]) {
        let (text, tag) = body.split_at_mut(body.len() - TAG);
        text[..payload.len()].copy_from_slice(payload);
        text[payload.len()] = kind;
        text[payload.len() + 1..].fill(0);
        cbc::Encryptor::<Aes256>::new(&self.0[0].into(), &self.iv(sequence))
            .encrypt_padded::<NoPadding>(text, text.len())
            .expect("whole blocks");
        let mac = self.mac(sequence, (text.len() / BLOCK) as u16, text);
        tag.copy_from_slice(&mac.finalize().into_bytes()[..TAG]);
    }
}
