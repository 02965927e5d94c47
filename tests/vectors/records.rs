//! Records: sealed to the expected bytes, opened to the expected payload, by every
//! kernel.

use sealwire::Kernel;
use sealwire::crypto::keys::epoch_of;
use sealwire::limits::{EPOCH_BITS, RECORD_HEADER};
use sealwire::wire::record::{blocks_for, parse_blocks, parse_plaintext, record_len};
use serde_json::Value;

use crate::answers::{array, assert_record, bytes, list, native, number, payload, text};
use crate::batches::{Place, opener, sealer};
use crate::plain::{PlainKeys, next_epoch};

/// One direction of the vectors' connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Direction {
    ClientToServer,
    ServerToClient,
}

impl Direction {
    /// The direction of what a side sends, or the one that the vectors call `… to …`.
    fn of(sender: &Value) -> Self {
        match text(sender) {
            "client" | "client to server" => Self::ClientToServer,
            "server" | "server to client" => Self::ServerToClient,
            other => panic!("unknown direction {other}"),
        }
    }

    /// Its secret in the epoch of `sequence`, from the vectors' first.
    fn secret(self, sequence: u64) -> [u8; 32] {
        let first = match self {
            Self::ClientToServer => array(&native()["client_to_server"]),
            Self::ServerToClient => array(&native()["server_to_client"]),
        };
        (0..epoch_of(sequence)).fold(first, |secret, _| next_epoch(&secret))
    }
}

/// How many times a record goes through a kernel in one batch: alone, and beside itself in
/// few lanes and in more than there are.
const TOGETHER: [usize; 3] = [1, 6, 40];

/// What `run` returns for each count of [`TOGETHER`] and each kernel that this processor
/// has. Asserts that it is always the same.
fn with_every_kernel<T: PartialEq>(run: impl Fn(Kernel, usize) -> Vec<T>) -> T {
    let ways = Kernel::all().flat_map(|kernel| TOGETHER.map(|count| (kernel, count)));
    let mut agreed = None;
    for (kernel, count) in ways {
        let results = run(kernel, count);
        assert_eq!(results.len(), count);
        let before = agreed.as_ref().unwrap_or(&results[0]);
        let agree = results.iter().all(|result| result == before);
        assert!(agree, "{kernel:?}, {count} together");
        agreed = results.into_iter().next();
    }
    agreed.unwrap()
}

/// A batch of the same record of `len` bytes several times.
fn batch(count: usize, sequence: u64, kind: u8, payload: usize, len: usize) -> [Vec<Place>; 1] {
    let places = (0..count).map(|n| Place {
        key: 0,
        sequence,
        kind,
        payload: 0..payload,
        body: n * len + RECORD_HEADER..(n + 1) * len,
    });
    [places.collect()]
}

/// The whole record, its length field too.
pub(crate) fn seal(
    direction: Direction,
    sequence: u64,
    kind: u8,
    payload: &[u8],
    blocks: u16,
) -> Vec<u8> {
    let secret = direction.secret(sequence);
    with_every_kernel(|kernel, count| {
        let len = record_len(blocks);
        let mut records = vec![0; count * len];
        for record in records.chunks_mut(len) {
            record[..RECORD_HEADER].copy_from_slice(&blocks.to_be_bytes());
        }
        let batches = batch(count, sequence, kind, payload.len(), len);
        sealer(kernel, &[secret], &batches)(payload, &mut records);
        records.chunks(len).map(<[u8]>::to_vec).collect()
    })
}

/// The plaintext of a whole record, with its padding; `None` if its tag does not hold.
fn open(direction: Direction, sequence: u64, record: &[u8]) -> Option<Vec<u8>> {
    let secret = direction.secret(sequence);
    with_every_kernel(|kernel, count| {
        let (mut bytes, mut held) = (record.repeat(count), Vec::new());
        let batches = batch(count, sequence, 0, 0, record.len());
        opener(kernel, &[secret], &batches)(&mut bytes, &mut held);
        let results = batches[0].iter().zip(held);
        let results =
            results.map(|(place, held)| (held == 1).then(|| bytes[place.text()].to_vec()));
        results.collect()
    })
}

/// Seals and opens one entry of a list.
fn check(direction: Direction, sequence: u64, extra_blocks: u64, entry: &Value) {
    let kind = number(&entry["kind"]) as u8;
    let payload = payload(&entry["payload"]);
    let blocks = blocks_for(payload.len()) + extra_blocks as u16;
    let record = seal(direction, sequence, kind, &payload, blocks);
    assert_record(&record, &entry["record"]);

    assert_eq!(parse_blocks(&record), Ok(Some(blocks)));
    let plaintext = open(direction, sequence, &record).unwrap();
    let (read_kind, len) = parse_plaintext(&plaintext).unwrap();
    assert_eq!((read_kind as u8, &plaintext[..len]), (kind, &payload[..]));
}

/// Goal: every record of the vectors comes out right, in both directions, with padding of
/// any length, over epochs. Method: seal each, compare, and open it again.
#[test]
fn records_are_sealed_and_opened() {
    for entry in list(&native()["records"]) {
        let direction = Direction::of(&entry["direction"]);
        let sequence = number(&entry["sequence"]);
        check(direction, sequence, number(&entry["extra_blocks"]), entry);
    }
}

/// Goal: a whole conversation comes out right. Method: each side counts its own records.
#[test]
fn a_transcript_is_sealed_and_opened() {
    let mut sent = [0; 2];
    for entry in list(&native()["transcript"]) {
        let direction = Direction::of(&entry["who"]);
        let sequence = &mut sent[direction as usize];
        check(direction, *sequence, 0, entry);
        *sequence += 1;
    }
    assert!(sent.iter().all(|&count| count > 0));
}

/// Goal: the keys of the first two epochs, and the first IV of each, are those of the
/// vectors. Method: the library's keys cannot be read, so each epoch's make a record of a single
/// block, as do the vectors' with the plain crates.
#[test]
fn an_epochs_keys_are_the_expected_ones() {
    let names = ["client_to_server_epoch_0", "client_to_server_epoch_1"];
    for (sequence, name) in (0..).step_by(1 << EPOCH_BITS).zip(names) {
        let answers = &native()[name];
        let expected = ["k_enc", "k_mac", "k_iv"].map(|name| array(&answers[name]));
        let keys = PlainKeys::new(&Direction::ClientToServer.secret(sequence), 0);
        assert_eq!(keys.0, expected, "{name}");
        assert_eq!(keys.iv(sequence)[..], bytes(&answers["iv"]), "{name}");

        let record = seal(Direction::ClientToServer, sequence, 2, &[7; 15], 1);
        let mut body = [0; 32];
        keys.seal(sequence, 2, &[7; 15], &mut body);
        assert_eq!(record, [&[0, 1], &body[..]].concat(), "{name}");
    }
}
