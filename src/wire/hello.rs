//! The layouts of the two hellos (`PROTOCOL.md` §1.2).
//!
//! Checks here need no keys; the rest of the handshake is [`crate::conn`].

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
        let mut bytes = [0; CLIENT_TAG];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = SUITE;
        bytes[5] = self.service;
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
        let mut hello = Self {
            service: bytes[5],
            key_id: [0; 8],
            ephemeral: [0; 32],
        };
        hello.key_id.copy_from_slice(&bytes[8..16]);
        hello.ephemeral.copy_from_slice(&bytes[16..CLIENT_TAG]);
        Ok(hello)
    }
}

/// Whether `bytes`, a first part of a stream, may still become a native client
/// hello of any suite and service that this version knows.
pub fn may_be_client(bytes: &[u8]) -> bool {
    let fixed = [MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3], SUITE];
    let services = Service::Messages as u8..=Service::Files as u8;
    bytes
        .iter()
        .take(FIXED)
        .enumerate()
        .all(|(i, &byte)| match i {
            0..=4 => byte == fixed[i],
            5 => services.contains(&byte),
            _ => byte == 0,
        })
}

/// The first 40 bytes of a server hello, which its tag covers.
pub fn encode_server(ephemeral: &[u8; 32]) -> [u8; SERVER_TAG] {
    let mut bytes = [0; SERVER_TAG];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4] = SUITE;
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
    let mut ephemeral = [0; 32];
    ephemeral.copy_from_slice(&bytes[8..SERVER_TAG]);
    Ok(ephemeral)
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
