//! The cipher and the MAC of the classic format (`PROTOCOL.md` §2).
//!
//! They work on one frame at a time: the format serves a migration, so it need not be
//! fast. Read next: [`super::frame`], the layout of a frame.

use std::fmt;
use std::sync::Arc;

use aes::cipher::block_padding::{Padding, Pkcs7};
use aes::{Aes256Dec, Aes256Enc, Block};
use cbc::cipher::array::Array;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::crypto::secret::SecretPair;
use crate::crypto::wipe::wiped;
use crate::limits::BLOCK;

/// How deep in the stack deriving and moving keys leaves parts of them, with a margin: a
/// debug build left 2.8 KiB.
const STACK: usize = 5120;

/// The keys of the classic format, made from the two as typed.
///
/// They are made where they stay, because a move or a clone leaves a copy behind.
pub struct ClassicKeys {
    encrypt: Aes256Enc,
    decrypt: Aes256Dec,
    mac: Hmac<Sha256>,
}

/// What a connection has of its keys.
pub(super) type Held = Arc<ClassicKeys>;

impl ClassicKeys {
    pub(super) fn held(self: Arc<Self>) -> Held {
        self
    }

    /// Derives the keys. The MAC key is the hash of both secrets, because the old
    /// program feeds both to one hash object.
    pub fn new(secrets: &SecretPair) -> Arc<Self> {
        wiped::<STACK, _>(|| {
            let mut hash = Sha256::new();
            hash.update(secrets.confkey.expose());
            let cipher = hash.clone().finalize();
            hash.update(secrets.authkey.expose());
            let mac = hash.finalize();
            Arc::new(Self {
                encrypt: Aes256Enc::new(&cipher),
                decrypt: Aes256Dec::new(&cipher),
                mac: Hmac::new_from_slice(&mac).expect("HMAC takes any key"),
            })
        })
    }

    /// Encrypts `text` with its padding (PKCS #7) into the first block of `out`.
    ///
    /// # Panics
    ///
    /// If `text` fills a block.
    pub(super) fn encrypt(&self, iv: &[u8; BLOCK], text: &[u8], out: &mut [u8; BLOCK]) {
        let pad = BLOCK - text.len();
        assert!(pad > 0, "one block of text and padding");
        out.fill(pad as u8);
        out[..text.len()].copy_from_slice(text);
        let iv = Array::from(*iv);
        let mut chain = cbc::Encryptor::<&Aes256Enc>::inner_iv_init(&self.encrypt, &iv);
        chain.encrypt_blocks(Array::slice_as_chunks_mut(out).0);
    }

    /// Decrypts `blocks` in place; `None` when the padding is wrong. The caller has
    /// checked the tag.
    pub(super) fn decrypt<'a>(&self, iv: &[u8; BLOCK], blocks: &'a mut [u8]) -> Option<&'a [u8]> {
        let iv = Array::from(*iv);
        let mut chain = cbc::Decryptor::<&Aes256Dec>::inner_iv_init(&self.decrypt, &iv);
        let (blocks, rest) = Block::slice_as_chunks_mut(blocks);
        assert!(rest.is_empty(), "whole blocks");
        chain.decrypt_blocks(blocks);
        Pkcs7::unpad_blocks(blocks).ok()
    }

    /// HMAC-SHA256 of `bytes`.
    pub(super) fn tag(&self, bytes: &[u8]) -> [u8; 32] {
        let mac = self.mac.clone().chain_update(bytes);
        mac.finalize().into_bytes().into()
    }

    /// Whether `tag` is the tag of `bytes`, compared in constant time.
    pub(super) fn holds(&self, bytes: &[u8], tag: &[u8]) -> bool {
        let mac = self.mac.clone().chain_update(bytes);
        mac.verify_slice(tag).is_ok()
    }
}

impl fmt::Debug for ClassicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClassicKeys")
    }
}
