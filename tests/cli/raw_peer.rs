//! A native peer that is a socket in the test: it makes a right handshake, and then
//! sends what the test wants, right or wrong. The classic one is [`crate::old`].

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hkdf::Hkdf;
use sealwire::crypto::dh::Private;
use sealwire::crypto::keys::{SessionSecrets, hello_tag};
use sealwire::limits::{CLIENT_HELLO, RECORD_HEADER, SERVER_HELLO};
use sealwire::wire::hello::{CLIENT_TAG, ClientHello, SERVER_TAG, encode_server, parse_server};
use sealwire::wire::record::{Kind, blocks_for, parse_blocks, parse_plaintext, record_len};
use sealwire::{Identity, Secret, SecretPair};
use sha2::{Digest, Sha256};

use crate::batches::{Place, opener, sealer};
use crate::program::{AUTHKEY, CONFKEY, PATIENCE, from_hex};

/// The identity that the keys of every program here make.
pub(crate) fn identity() -> Arc<Identity> {
    let pair = SecretPair {
        confkey: Secret::new(from_hex(CONFKEY)),
        authkey: Secret::new(from_hex(AUTHKEY)),
    };
    Identity::new(&pair).unwrap()
}

/// A private key that no other connection has: a server refuses a hello that it has seen.
fn private() -> Private {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // The curve ignores the lowest three bits.
    let mut bytes = [7; 32];
    bytes[8..16].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    Private::new(bytes, crate::chosen::kernel())
}

/// A right client hello, without its tag.
pub(crate) fn hello() -> [u8; CLIENT_TAG] {
    hello_of(&private())
}

fn hello_of(private: &Private) -> [u8; CLIENT_TAG] {
    let hello = ClientHello {
        service: 0,
        key_id: identity().key_id(),
        ephemeral: private.public(),
    };
    hello.encode()
}

/// A hello with its tag, which is right even if the hello is not.
pub(crate) fn signed(hello: &[u8; CLIENT_TAG]) -> [u8; CLIENT_HELLO] {
    let mut all = [0; CLIENT_HELLO];
    all[..CLIENT_TAG].copy_from_slice(hello);
    all[CLIENT_TAG..].copy_from_slice(&hello_tag(&identity(), hello));
    all
}

/// A port of this test, and what connects to it.
pub(crate) fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A connection to a program.
pub(crate) fn connect(port: u16) -> TcpStream {
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    patient(socket)
}

/// The next connection of a program.
pub(crate) fn accept(listener: &TcpListener) -> TcpStream {
    patient(listener.accept().unwrap().0)
}

fn patient(socket: TcpStream) -> TcpStream {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// Everything up to the end of the stream, or up to a reset.
pub(crate) fn rest(socket: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    match socket.read_to_end(&mut all) {
        Ok(_) => all,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => all,
        Err(error) => panic!("it is not closed: {error}"),
    }
}

/// A batch of a single record of `len` bytes.
fn alone(sequence: u64, kind: u8, payload: usize, len: usize) -> [Vec<Place>; 1] {
    let record = Place {
        key: 0,
        sequence,
        kind,
        payload: 0..payload,
        body: RECORD_HEADER..len,
    };
    [vec![record]]
}

/// The secrets of a handshake with the holder of `public` (`PROTOCOL.md` §1.2).
fn handshake(private: &Private, public: [u8; 32], transcript: &[u8]) -> [[u8; 32]; 3] {
    let keys = [from_hex(CONFKEY), from_hex(AUTHKEY)].concat();
    let (prk, _) = Hkdf::<Sha256>::extract(Some(b"sealwire/1"), &keys);
    let shared = private.agree(public).unwrap();
    let (master, hkdf) = Hkdf::<Sha256>::extract(Some(&prk), &shared[..]);
    let label = [
        &b"sealwire/1 server finished"[..],
        &Sha256::digest(transcript),
    ]
    .concat();
    let mut finished = [0; 32];
    hkdf.expand(&label, &mut finished).unwrap();
    [*shared, master.into(), finished]
}

/// One side of a connection whose handshake is done.
pub(crate) struct RawPeer {
    socket: TcpStream,
    seals: [u8; 32],
    opens: [u8; 32],
    /// What only the handshake needs: the result of the curve, the master secret, and the key
    /// of the server's tag.
    handshake: [[u8; 32]; 3],
    sent: u64,
    received: u64,
}

impl RawPeer {
    /// A client that has sent its hello and nothing else.
    pub(crate) fn unproved(port: u16) -> Self {
        let mut socket = connect(port);
        let private = private();
        let hello = signed(&hello_of(&private));
        socket.write_all(&hello).unwrap();
        let mut reply = [0; SERVER_HELLO];
        socket.read_exact(&mut reply).expect("the hello is right");
        let public = parse_server(&reply).unwrap();
        let transcript = [&hello[..], &reply[..SERVER_TAG]];
        let secrets = SessionSecrets::agree(&identity(), &private, public, transcript).unwrap();
        assert!(secrets.finished_holds(&reply[SERVER_TAG..]));
        let handshake = handshake(&private, public, &transcript.concat());
        let [seals, opens] = [*secrets.client_to_server, *secrets.server_to_client];
        Self::new(socket, seals, opens, handshake)
    }

    fn new(socket: TcpStream, seals: [u8; 32], opens: [u8; 32], handshake: [[u8; 32]; 3]) -> Self {
        Self {
            socket,
            seals,
            opens,
            handshake,
            sent: 0,
            received: 0,
        }
    }

    /// A client that has proved that it holds the keys.
    pub(crate) fn proved(port: u16) -> Self {
        let mut peer = Self::unproved(port);
        peer.say(Kind::Ping as u8, b"");
        assert_eq!(peer.next(), Some((Kind::Pong as u8, Vec::new())));
        peer
    }

    /// The first secret of what it sends, and of what it receives.
    pub(crate) fn secrets(&self) -> [[u8; 32]; 2] {
        [self.seals, self.opens]
    }

    /// What both sides should have erased after the handshake.
    pub(crate) fn handshake(&self) -> [[u8; 32]; 3] {
        self.handshake
    }

    /// The server of a client that connects to `listener` and has proved itself.
    pub(crate) fn server(listener: &TcpListener) -> Self {
        let mut socket = accept(listener);
        let mut hello = [0; CLIENT_HELLO];
        socket.read_exact(&mut hello).unwrap();
        let theirs = ClientHello::parse(&hello).unwrap();
        let private = private();
        let mut reply = encode_server(&private.public()).to_vec();
        let transcript = [&hello[..], &reply];
        let secrets = SessionSecrets::agree(&identity(), &private, theirs.ephemeral, transcript);
        let secrets = secrets.unwrap();
        let handshake = handshake(&private, theirs.ephemeral, &transcript.concat());
        reply.extend(secrets.finished_tag());
        socket.write_all(&reply).unwrap();
        let mut peer = Self::new(
            socket,
            *secrets.server_to_client,
            *secrets.client_to_server,
            handshake,
        );
        peer.next().expect("a client proves itself");
        peer
    }

    /// The next record, as short as can be.
    pub(crate) fn record(&mut self, kind: Kind, payload: &[u8]) -> Vec<u8> {
        let blocks = blocks_for(payload.len());
        self.any_record(kind as u8, payload, blocks)
    }

    /// The next record, of any kind and length, with a right tag.
    pub(crate) fn any_record(&mut self, kind: u8, payload: &[u8], blocks: u16) -> Vec<u8> {
        let mut record = vec![0; record_len(blocks)];
        record[..RECORD_HEADER].copy_from_slice(&blocks.to_be_bytes());
        let batch = alone(self.sent, kind, payload.len(), record.len());
        sealer(crate::chosen::kernel(), &[self.seals], &batch)(payload, &mut record);
        self.sent += 1;
        record
    }

    /// Sends bytes as they are. The other side may be gone.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.socket.write_all(bytes);
    }

    /// Sends as many of `bytes` as the other side takes at once, in pieces of `piece` bytes,
    /// and returns how many.
    pub(crate) fn press(&mut self, bytes: &[u8], piece: usize) -> usize {
        self.socket.set_nonblocking(true).unwrap();
        let mut sent = 0;
        for piece in bytes.chunks(piece) {
            // An error says that there is no room, or that it is closed.
            let count = self.socket.write(piece).unwrap_or(0);
            sent += count;
            if count < piece.len() {
                break;
            }
        }
        self.socket.set_nonblocking(false).unwrap();
        sent
    }

    /// Sends the next record.
    pub(crate) fn say(&mut self, kind: u8, payload: &[u8]) {
        let record = self.any_record(kind, payload, blocks_for(payload.len()));
        self.send(&record);
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(self) {
        let socket = socket2::SockRef::from(&self.socket);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// The kind and the payload of the program's next record; `None` at its end.
    pub(crate) fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut header = [0; RECORD_HEADER];
        self.fill(&mut header)?;
        let blocks = parse_blocks(&header).unwrap().unwrap();
        let mut record = vec![0; record_len(blocks)];
        record[..RECORD_HEADER].copy_from_slice(&header);
        self.fill(&mut record[RECORD_HEADER..])?;
        let batch = alone(self.received, 0, 0, record.len());
        let mut held = Vec::new();
        opener(crate::chosen::kernel(), &[self.opens], &batch)(&mut record, &mut held);
        assert_eq!(held, [1], "the program's record does not hold");
        self.received += 1;
        let plaintext = &record[batch[0][0].text()];
        let (kind, len) = parse_plaintext(plaintext).unwrap();
        Some((kind as u8, plaintext[..len].to_vec()))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Option<()> {
        match self.socket.read_exact(bytes) {
            Ok(()) => Some(()),
            Err(error) => {
                let ends = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
                assert!(ends.contains(&error.kind()), "it is not closed: {error}");
                None
            }
        }
    }
}
