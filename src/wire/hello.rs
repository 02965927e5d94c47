//! The layouts of the two hellos (`PROTOCOL.md` §1.2).
//!
//! It checks no tag and derives no key. Read next: `conn::handshake`, which does both.

use crate::error::PeerFault;
use crate::limits::{CLIENT_HELLO, SERVER_HELLO};

/// The first four bytes of either hello.
const MAGIC: [u8; 4] = *b"SWP1";
/// X25519, HKDF-SHA256, AES-256-CBC, HMAC-SHA256-128.
const SUITE: u8 = 1;
/// Bytes that tell a native hello from anything else. They are checked first.
pub const FIXED: usize = 8;
/// Where the client's tag starts: it covers all before it.
pub const CLIENT_TAG: usize = 48;
/// Where the server's tag starts.
pub const SERVER_TAG: usize = 40;

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Service {
    /// Messages: chat, pipes, echo, sink, relay.
    Messages = 0,
    /// A tunnel.
    Tunnel = 1,
    /// Files.
    Files = 2,
}

/// A client hello without its tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientHello {
    /// What the client asks for, as a number that may be unknown.
    pub service: u8,
    /// Which keys it means.
    pub key_id: [u8; 8],
    /// Its X25519 public key.
    pub ephemeral: [u8; 32],
}

impl ClientHello {
    /// The 48 bytes that the tag covers.
    pub fn encode(&self) -> [u8; CLIENT_TAG] {
        let mut bytes = start(self.service);
        bytes[8..16].copy_from_slice(&self.key_id);
        bytes[16..].copy_from_slice(&self.ephemeral);
        bytes
    }

    /// Takes a whole hello apart, when its first 8 bytes are those of a client.
    pub fn parse(bytes: &[u8; CLIENT_HELLO]) -> Result<Self, PeerFault> {
        check_fixed(bytes)?;
        if bytes[6..8] != [0; 2] {
            return Err(PeerFault::Reserved);
        }
        Ok(Self {
            service: bytes[5],
            key_id: array(&bytes[8..16]),
            ephemeral: array(&bytes[16..CLIENT_TAG]),
        })
    }
}

/// The fixed bytes of a hello, with zeros behind them.
fn start<const N: usize>(service: u8) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4] = SUITE;
    bytes[5] = service;
    bytes
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("a range of this length")
}

/// Whether `bytes`, a first part of a stream, may still become a native client
/// hello of any suite and service that this version knows.
pub fn may_be_client(bytes: &[u8]) -> bool {
    let known = bytes
        .get(5)
        .is_none_or(|&byte| byte <= Service::Files as u8);
    let mut reserved = bytes.iter().take(FIXED).skip(6);
    check_fixed(bytes).is_ok() && known && reserved.all(|&byte| byte == 0)
}

/// The first 40 bytes of a server hello, which its tag covers.
pub fn encode_server(ephemeral: &[u8; 32]) -> [u8; SERVER_TAG] {
    let mut bytes = start(0);
    bytes[8..].copy_from_slice(ephemeral);
    bytes
}

/// The server's X25519 public key, when the bytes before it are those of a
/// server.
pub fn parse_server(bytes: &[u8; SERVER_HELLO]) -> Result<[u8; 32], PeerFault> {
    check_fixed(bytes)?;
    if bytes[5..8] != [0; 3] {
        return Err(PeerFault::Reserved);
    }
    Ok(array(&bytes[8..SERVER_TAG]))
}

/// Refuses what can no longer become a hello of ours, without waiting for its rest.
/// `bytes` is a first part of what came.
pub fn check_fixed(bytes: &[u8]) -> Result<(), PeerFault> {
    if bytes.iter().zip(&MAGIC).any(|(a, b)| a != b) {
        return Err(PeerFault::NotSealwire);
    }
    match bytes.get(4) {
        Some(&suite) if suite != SUITE => Err(PeerFault::Suite(suite)),
        _ => Ok(()),
    }
}
