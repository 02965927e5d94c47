//! The kernel that runs everywhere: RustCrypto's `aes`, `cbc` and `sha2`, one
//! record after the other.
//!
//! Key schedules and the two HMAC states are made once per epoch, not once per
//! record. It is also the oracle for every other kernel.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes256Dec, Aes256Enc};
use cbc::cipher::array::Array;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, InnerIvInit};
use sha2::block_api::compress256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Checking, Sealing};
use crate::limits::{BLOCK, TAG};

/// Bytes of a SHA-256 block (FIPS 180-4).
pub(super) const HASH_BLOCK: usize = 64;
/// SHA-256's initial state (FIPS 180-4 §5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The bytes of `k_enc ‖ k_mac ‖ k_iv` (`PROTOCOL.md` §1.4).
pub(in crate::crypto) type Material = [u8; 96];

/// What one direction seals with for an epoch.
pub(in crate::crypto) struct SealKeys {
    cipher: Aes256Enc,
    iv: Aes256Enc,
    mac: MacKey,
}

/// What one direction opens with for an epoch.
pub(in crate::crypto) struct OpenKeys {
    cipher: Aes256Dec,
    iv: Aes256Enc,
    mac: MacKey,
}

impl SealKeys {
    pub(super) fn new(material: &Material) -> Self {
        Self {
            cipher: Aes256Enc::new(&part(material, 0)),
            mac: MacKey::new(&part(material, 1).0),
            iv: Aes256Enc::new(&part(material, 2)),
        }
    }

    /// Seals `payload ‖ kind ‖ 00 … 00` into `body`, which ends with the tag.
    fn seal(&self, sequence: u64, kind: u8, payload: &[u8], body: &mut [u8]) {
        let (text, tag) = body.split_at_mut(body.len() - TAG);
        // The whole blocks of the payload are encrypted from where they are;
        // only what shares a block with the kind is copied.
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
    pub(super) fn new(material: &Material) -> Self {
        Self {
            cipher: Aes256Dec::new(&part(material, 0)),
            mac: MacKey::new(&part(material, 1).0),
            iv: Aes256Enc::new(&part(material, 2)),
        }
    }

    /// Decrypts `text` in place.
    pub(super) fn decrypt(&self, sequence: u64, text: &mut [u8]) {
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

/// The 32 bytes at place `index` of the key material.
fn part(material: &Material, index: usize) -> Zeroizing<aes::cipher::Key<Aes256Enc>> {
    let mut key = aes::cipher::Key::<Aes256Enc>::default();
    key.copy_from_slice(&material[32 * index..][..32]);
    Zeroizing::new(key)
}

/// `AES-256-ECB(k_iv, 00×8 ‖ sequence)`, which is never sent.
fn record_iv(cipher: &Aes256Enc, sequence: u64) -> aes::Block {
    let mut block = aes::Block::default();
    block[8..].copy_from_slice(&sequence.to_be_bytes());
    cipher.encrypt_block(&mut block);
    block
}

/// HMAC-SHA256 (RFC 2104) with the key's two blocks already hashed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct MacKey {
    pub(super) inner: [u32; 8],
    pub(super) outer: [u32; 8],
}

impl MacKey {
    pub(super) fn new(key: &[u8]) -> Self {
        let state = |pad: u8| {
            let mut block = Zeroizing::new([pad; HASH_BLOCK]);
            block.iter_mut().zip(key).for_each(|(b, k)| *b ^= k);
            let mut state = INITIAL;
            compress256(&mut state, std::slice::from_ref(&*block));
            state
        };
        Self {
            inner: state(0x36),
            outer: state(0x5c),
        }
    }

    /// The first 16 bytes of `HMAC(ciphertext ‖ sequence ‖ blocks)`.
    fn tag(&self, ciphertext: &[u8], sequence: u64) -> [u8; TAG] {
        let blocks = (ciphertext.len() / BLOCK) as u16;
        let (whole, rest) = ciphertext.as_chunks::<HASH_BLOCK>();
        let mut state = self.inner;
        compress256(&mut state, whole);

        // At most 48 bytes are left, 10 follow, and the padding takes 9.
        let mut last = [[0; HASH_BLOCK]; 2];
        let flat = last.as_flattened_mut();
        let end = rest.len() + 10;
        flat[..rest.len()].copy_from_slice(rest);
        flat[rest.len()..rest.len() + 8].copy_from_slice(&sequence.to_be_bytes());
        flat[rest.len() + 8..end].copy_from_slice(&blocks.to_be_bytes());
        let count = finish(flat, end, HASH_BLOCK + ciphertext.len() + 10);
        compress256(&mut state, &last[..count]);

        let mut outer = [0; HASH_BLOCK];
        write_words(&state, &mut outer);
        finish(&mut outer, 32, HASH_BLOCK + 32);
        state = self.outer;
        compress256(&mut state, &[outer]);
        let mut tag = [0; TAG];
        write_words(&state[..4], &mut tag);
        tag
    }
}

/// Pads a last piece of `end` bytes (FIPS 180-4 §5.1.1), of a message of `total`
/// bytes, and says how many blocks it fills.
pub(super) fn finish(piece: &mut [u8], end: usize, total: usize) -> usize {
    let count = (end + 9).div_ceil(HASH_BLOCK);
    piece[end] = 0x80;
    piece[count * HASH_BLOCK - 8..count * HASH_BLOCK]
        .copy_from_slice(&(8 * total as u64).to_be_bytes());
    count
}

pub(super) fn write_words(words: &[u32], bytes: &mut [u8]) {
    for (chunk, word) in bytes.chunks_exact_mut(4).zip(words) {
        chunk.copy_from_slice(&word.to_be_bytes());
    }
}
