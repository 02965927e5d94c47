//! Seals and opens the same records as a user of the plain `cbc` and `hmac` crates does: with a new
//! cipher, a new MAC and a new AES for the IV for every record, as in these crates' examples.

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit, KeyIvInit};
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sealwire::limits::TAG;
use sha2::Sha256;

use crate::work::{KIND, Place, Work, secret};

/// `k_enc`, `k_mac` and `k_iv` (`PROTOCOL.md` §1.4).
struct PlainKeys([[u8; 32]; 3]);

impl PlainKeys {
    /// The keys of number `index`.
    fn new(index: usize) -> Self {
        let mut keys = [[0; 32]; 3];
        Hkdf::<Sha256>::from_prk(&secret(index))
            .expect("32 bytes")
            .expand(b"sealwire/1 record keys", keys.as_flattened_mut())
            .expect("96 bytes");
        Self(keys)
    }

    fn iv(&self, sequence: u64) -> aes::Block {
        let mut block = aes::Block::default();
        block[8..].copy_from_slice(&sequence.to_be_bytes());
        Aes256::new(&self.0[2].into()).encrypt_block(&mut block);
        block
    }

    /// Encrypts whole blocks in place.
    fn encrypt(&self, sequence: u64, text: &mut [u8]) {
        cbc::Encryptor::<Aes256>::new(&self.0[0].into(), &self.iv(sequence))
            .encrypt_padded::<NoPadding>(text, text.len())
            .expect("whole blocks");
    }

    /// The MAC of a record, not finished.
    fn mac(&self, text: &[u8], place: &Place) -> Hmac<Sha256> {
        <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0[1])
            .expect("any key")
            .chain_update(text)
            .chain_update(place.sequence.to_be_bytes())
            .chain_update(place.blocks().to_be_bytes())
    }

    fn seal(&self, place: &Place, payload: &[u8], body: &mut [u8]) {
        let (text, tag) = body.split_at_mut(body.len() - TAG);
        text[..payload.len()].copy_from_slice(payload);
        text[payload.len()] = KIND;
        text[payload.len() + 1..].fill(0);
        self.encrypt(place.sequence, text);
        tag.copy_from_slice(&self.mac(text, place).finalize().into_bytes()[..TAG]);
    }

    /// Opens in place. Returns whether the tag held.
    fn open(&self, place: &Place, body: &mut [u8]) -> bool {
        let (text, tag) = body.split_at_mut(body.len() - TAG);
        let mac = self.mac(text, place);
        mac.verify_truncated_left(tag).is_ok()
            && cbc::Decryptor::<Aes256>::new(&self.0[0].into(), &self.iv(place.sequence))
                .decrypt_padded::<NoPadding>(text)
                .is_ok()
    }
}

fn keys(work: &Work) -> Vec<PlainKeys> {
    (0..work.keys).map(PlainKeys::new).collect()
}

/// Seals one by one: payloads to records.
pub(crate) fn sealer(work: &Work) -> impl FnMut(&[u8], &mut [u8]) {
    let keys = keys(work);
    move |payloads, output| {
        for (place, keys) in work.places.iter().zip(keys.iter().cycle()) {
            let body = &mut output[place.body.clone()];
            keys.seal(place, &payloads[place.payload.clone()], body);
        }
    }
}

/// Opens one by one, in place. Returns how many tags held.
pub(crate) fn opener(work: &Work) -> impl FnMut(&mut [u8]) -> usize {
    let keys = keys(work);
    move |records| {
        let pairs = work.places.iter().zip(keys.iter().cycle());
        pairs
            .filter(|(place, keys)| keys.open(place, &mut records[place.body.clone()]))
            .count()
    }
}
