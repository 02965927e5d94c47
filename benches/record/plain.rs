//! Seals and opens the same records as a user of the plain `cbc` and `hmac` crates does.

use aes::Aes256;
use aes::cipher::KeyIvInit;
use cbc::cipher::BlockModeDecrypt;
use cbc::cipher::block_padding::NoPadding;
use hmac::Mac;
use sealwire::limits::TAG;

use crate::batches::Place;
use crate::plain_keys::PlainKeys;
use crate::work::Work;

/// Opens in place. Returns whether the tag held.
fn open(keys: &PlainKeys, place: &Place, body: &mut [u8]) -> bool {
    let (text, tag) = body.split_at_mut(body.len() - TAG);
    let mac = keys.mac(place.sequence, place.blocks(), text);
    mac.verify_truncated_left(tag).is_ok()
        && cbc::Decryptor::<Aes256>::new(&keys.0[0].into(), &keys.iv(place.sequence))
            .decrypt_padded::<NoPadding>(text)
            .is_ok()
}

fn keys(work: &Work) -> Vec<PlainKeys> {
    let keys = work.secrets.iter().map(|secret| PlainKeys::new(secret, 0));
    keys.collect()
}

/// Seals one by one: payloads to records.
pub(crate) fn sealer(work: &Work) -> impl FnMut(&[u8], &mut [u8]) {
    let keys = keys(work);
    move |payloads, output| {
        for place in work.places() {
            let body = &mut output[place.body.clone()];
            let payload = &payloads[place.payload.clone()];
            keys[place.key].seal(place.sequence, place.kind, payload, body);
        }
    }
}

/// Opens one by one, in place. Returns how many tags held.
pub(crate) fn opener(work: &Work) -> impl FnMut(&mut [u8]) -> usize {
    let keys = keys(work);
    move |records| {
        work.places()
            .filter(|place| open(&keys[place.key], place, &mut records[place.body.clone()]))
            .count()
    }
}
