//! Sealing as `PROTOCOL.md` §1.3 and §1.4 say it, one record at a time, with the plain `aes`,
//! `cbc`, `hmac` and `hkdf` crates. It is slow, and short enough to compare with that text by eye.

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit, KeyIvInit};
use cbc::cipher::{BlockModeEncrypt, block_padding::NoPadding};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The secret of the epoch after that of `secret`.
pub(crate) fn next_epoch(secret: &[u8; 32]) -> [u8; 32] {
    expand(secret, "sealwire/1 next epoch")
}

fn expand<const N: usize>(secret: &[u8; 32], label: &str) -> [u8; N] {
    let mut out = [0; N];
    let hkdf = Hkdf::<Sha256>::from_prk(secret).unwrap();
    hkdf.expand(label.as_bytes(), &mut out).unwrap();
    out
}

/// The ciphertext and the tag of one record. `secret` is its epoch's.
pub(crate) fn seal(
    secret: &[u8; 32],
    sequence: u64,
    kind: u8,
    payload: &[u8],
    blocks: u16,
) -> Vec<u8> {
    let [k_enc, _, k_iv] = record_keys(secret);
    let mut iv = [[0; 8], sequence.to_be_bytes()].concat();
    Aes256::new(&k_iv.into()).encrypt_block(iv.as_mut_slice().try_into().unwrap());

    let mut text = [payload, &[kind]].concat();
    text.resize(usize::from(blocks) * 16, 0);
    let len = text.len();
    cbc::Encryptor::<Aes256>::new_from_slices(&k_enc, &iv)
        .unwrap()
        .encrypt_padded::<NoPadding>(&mut text, len)
        .unwrap();
    let tag = tag(secret, &text, sequence, blocks);
    [text, tag].concat()
}

/// The tag of `ciphertext` in a record of `blocks`.
pub(crate) fn tag(secret: &[u8; 32], ciphertext: &[u8], sequence: u64, blocks: u16) -> Vec<u8> {
    let [_, k_mac, _] = record_keys(secret);
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&k_mac).unwrap();
    mac.update(ciphertext);
    mac.update(&sequence.to_be_bytes());
    mac.update(&blocks.to_be_bytes());
    mac.finalize().into_bytes()[..16].to_vec()
}

/// `k_enc`, `k_mac` and `k_iv`.
fn record_keys(secret: &[u8; 32]) -> [[u8; 32]; 3] {
    let keys: [u8; 96] = expand(secret, "sealwire/1 record keys");
    [0, 32, 64].map(|at| keys[at..at + 32].try_into().unwrap())
}
