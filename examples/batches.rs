//! Records sealed and opened in batches, without a connection: one text for many receivers,
//! each with a key of its own.
//!
//! ```sh
//! cargo run --example batches
//! ```
//!
//! A record is serial work for a processor, but records are independent of each other. A
//! batch has many side by side, so a hundred cost far less than a hundred times one.

use std::error::Error;

use sealwire::Kernel;
use sealwire::batch::{
    Area, KeyStore, OpenBatch, OpenJob, OpenKeys, SealBatch, SealJob, SealKeys, Span, blocks_for,
    body_len,
};

const RECEIVERS: usize = 100;
/// Stands behind the payload, and zeros behind it: any number but 0.
const KIND: u8 = 1;
/// Each key seals one record for each sequence, and this is the first.
const SEQUENCE: u64 = 0;

fn main() -> Result<(), Box<dyn Error>> {
    let kernel = Kernel::fastest()?;
    // The sender shares one secret with each receiver.
    let secrets: Vec<[u8; 32]> = (0..RECEIVERS).map(|_| rand::random()).collect();

    // All records have the same payload, and lie one behind the other in the output.
    let text = b"The meeting is at noon.";
    let blocks = blocks_for(text.len());
    let len = body_len(blocks);
    let mut sealed = vec![0; RECEIVERS * len];
    let mut keys = KeyStore::<SealKeys>::new(kernel);
    let mut batch = SealBatch::default();
    for (number, secret) in secrets.iter().enumerate() {
        batch.push(SealJob {
            key: keys.install(secret, 0).id(),
            sequence: SEQUENCE,
            kind: KIND,
            blocks,
            payload: Span::new(Area::ONLY, 0..text.len()),
            body: number * len,
        });
    }
    batch.run(&keys, &[&text[..]], &mut sealed);

    // On its way, somebody changes a bit of one of them.
    sealed[7 * len] ^= 1;

    // Each receiver would open its own; here one batch opens all of them in place.
    let mut keys = KeyStore::<OpenKeys>::new(kernel);
    let mut batch = OpenBatch::default();
    for (number, secret) in secrets.iter().enumerate() {
        batch.push(OpenJob {
            key: keys.install(secret, 0).id(),
            sequence: SEQUENCE,
            body: Span::new(Area::ONLY, number * len..(number + 1) * len),
        });
    }
    batch.run(&keys, &mut sealed);
    for number in 0..RECEIVERS {
        let (job, authentic) = batch.result(number);
        assert_eq!(authentic, number != 7);
        if authentic {
            let plaintext = &sealed[job.text().range()];
            let end = plaintext.iter().rposition(|&byte| byte != 0);
            let end = end.ok_or("no kind")?;
            assert_eq!((&plaintext[..end], plaintext[end]), (&text[..], KIND));
        }
    }
    Ok(())
}
