//! A client that seals any record it likes, right or wrong.

use sealwire::crypto::batch::{SealBatch, SealJob};
use sealwire::crypto::dh::Private;
use sealwire::crypto::keys::{Handle, Identity, KeyStore, SealKeys};
use sealwire::endpoint::transport::PeerId;
use sealwire::limits::RECORD_HEADER;
use sealwire::span::{Area, Span};
use sealwire::wire::hello::{ClientHello, SERVER_TAG, parse_server};
use sealwire::wire::record::{Kind, blocks_for, record_len};

use crate::net::Side;
use crate::people::secrets;
use crate::world::{SOCKET, World};

/// A client behind its handshake; nothing has proved it yet.
pub(crate) struct Hand {
    keys: KeyStore<SealKeys>,
    handle: Handle,
    sequence: u64,
    pub(crate) end: Side,
    /// What the server calls it.
    pub(crate) peer: PeerId,
}

impl Hand {
    /// Connects, and shakes hands.
    pub(crate) fn shake(world: &mut World, server: usize) -> Self {
        let (link, peer) = world.accept(server, SOCKET);
        let end = Side::client(link);
        let identity = Identity::new(&secrets(7)).unwrap();
        let private = Private::new([99; 32]);
        let covered = ClientHello {
            service: 0,
            key_id: identity.key_id(),
            ephemeral: private.public(),
        }
        .encode();
        let hello = [&covered[..], &identity.hello_tag(&covered)].concat();
        world.net.write(end, &hello).unwrap();
        world.settle();
        let mut answer = [0; 72];
        assert_eq!(world.net.read(end, &mut answer).unwrap().0, 72);
        let public = parse_server(&answer).unwrap();
        let transcript = [&hello[..], &answer[..SERVER_TAG]];
        let secrets = identity.agree(&private, public, transcript).unwrap();
        let mut keys = KeyStore::new(crate::chosen::kernel());
        let handle = keys.install(&secrets.client_to_server, 0);
        Self {
            keys,
            handle,
            sequence: 0,
            end,
            peer,
        }
    }

    /// The next record.
    pub(crate) fn record(&mut self, kind: Kind, payload: &[u8]) -> Vec<u8> {
        let blocks = blocks_for(payload.len());
        let mut record = vec![0; record_len(blocks)];
        record[..RECORD_HEADER].copy_from_slice(&blocks.to_be_bytes());
        let mut batch = SealBatch::default();
        batch.push(SealJob {
            key: self.handle.id(),
            sequence: self.sequence,
            kind: kind as u8,
            blocks,
            payload: Span::new(Area::ONLY, 0..payload.len()),
            body: RECORD_HEADER,
        });
        batch.run(&self.keys, &[payload], &mut record);
        self.sequence += 1;
        record
    }

    /// Sends the next record and lets the server take it.
    pub(crate) fn send(&mut self, world: &mut World, kind: Kind, payload: &[u8]) {
        let record = self.record(kind, payload);
        assert_eq!(world.net.write(self.end, &record).unwrap(), record.len());
        world.settle();
    }
}
