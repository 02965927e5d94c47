//! The kernel that runs everywhere: RustCrypto's `aes`, `cbc` and `sha2`, one
//! record after the other.
//!
//! Key schedules and the two HMAC states are made once per epoch, not once per record.

use aes::cipher::consts::U32;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes256Dec, Aes256Enc};
use cbc::cipher::array::Array;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, InnerIvInit};

use super::mac::MacKey;
use super::{Checking, Decrypting, Material, Sealing};
use crate::limits::{BLOCK, TAG};

/// The keys that one direction seals or opens with for an epoch.
pub(in crate::crypto) struct Keys<Cipher> {
    cipher: Cipher,
    iv: Aes256Enc,
    mac: MacKey,
}

pub(super) type SealKeys = Keys<Aes256Enc>;
pub(super) type OpenKeys = Keys<Aes256Dec>;

impl<Cipher: KeyInit<KeySize = U32>> Keys<Cipher> {
    pub(super) fn new([enc, mac, iv]: &Material) -> Self {
        Self {
            cipher: Cipher::new(enc.into()),
            iv: Aes256Enc::new(iv.into()),
            mac: MacKey::new(mac),
        }
    }
}

impl SealKeys {
    /// Seals `payload ‖ kind ‖ 00 … 00` into `body`, which ends with the tag.
    fn seal(&self, sequence: u64, kind: u8, payload: &[u8], body: &mut [u8]) {
        let (text, tag) = body.split_at_mut(body.len() - TAG);
        // Whole blocks of the payload are encrypted from where they are. Only the bytes that share
        // a block with the kind are copied.
        let whole = payload.len() - payload.len() % BLOCK;
        let (head, tail) = text.split_at_mut(whole);
        tail[..payload.len() - whole].copy_from_slice(&payload[whole..]);
        tail[payload.len() - whole] = kind;
        tail[payload.len() - whole + 1..].fill(0);

        let iv = record_iv(&self.iv, sequence);
        let mut chain = cbc::Encryptor::<&Aes256Enc>::inner_iv_init(&self.cipher, &iv);
        let (from, _) = Array::slice_as_chunks(&payload[..whole]);
        let (to, _) = Array::slice_as_chunks_mut(head);
        chain
            .encrypt_blocks_b2b(from, to)
            .expect("as many blocks as there are");
        chain.encrypt_blocks(Array::slice_as_chunks_mut(tail).0);
        tag.copy_from_slice(&self.mac.tag(text, sequence)[..]);
    }
}

impl OpenKeys {
    /// Decrypts `text` in place.
    fn decrypt(&self, sequence: u64, text: &mut [u8]) {
        let iv = record_iv(&self.iv, sequence);
        let mut chain = cbc::Decryptor::<&Aes256Dec>::inner_iv_init(&self.cipher, &iv);
        chain.decrypt_blocks(Array::slice_as_chunks_mut(text).0);
    }
}

/// Seals all of them.
pub(super) fn seal(records: &mut [Sealing<'_>]) {
    for record in records {
        let keys = record.keys.portable();
        keys.seal(record.sequence, record.kind, record.payload, record.body);
    }
}

/// Computes the tags of all of them.
pub(super) fn tags(records: &mut [Checking<'_>]) {
    for record in records {
        let mac = &record.keys.portable().mac;
        *record.tag = mac.tag(record.text, record.sequence);
    }
}

/// Decrypts all of them.
pub(super) fn decrypt(records: &mut [Decrypting<'_>]) {
    for record in records {
        let keys = record.keys.portable();
        keys.decrypt(record.sequence, record.text);
    }
}

/// `AES-256-ECB(k_iv, 00×8 ‖ sequence)`, which is never sent.
fn record_iv(cipher: &Aes256Enc, sequence: u64) -> aes::Block {
    let mut block = aes::Block::default();
    block[8..].copy_from_slice(&sequence.to_be_bytes());
    cipher.encrypt_block(&mut block);
    block
}
