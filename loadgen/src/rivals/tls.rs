//! TLS 1.3 through rustls: what a user would pick instead.
//!
//! rustls runs without buffers of its own: it opens and seals in buffers that all connections
//! share. A connection keeps only a partial record, and what its socket did not accept. Messages
//! that are sent to a peer at once share records that are as large as possible.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};
use rustls::{ClientConfig, ServerConfig};
use sealwire::limits::{INPUT_SCRATCH, OUTPUT_SCRATCH};
use sealwire::net::stream::Stream;

use super::certificate::SERVER_NAME;
use super::{ReadResult, Rival, write};
use crate::limits::{ALERT, SEALED};

pub(crate) trait Side: Sized {
    type Setup;
    type Data;

    fn new(setup: &Self::Setup) -> Result<Self, rustls::Error>;

    /// Takes bytes that came, or goes on with what it holds itself.
    fn process<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

impl Side for UnbufferedClientConnection {
    type Setup = Arc<ClientConfig>;
    type Data = ClientConnectionData;

    fn new(setup: &Self::Setup) -> Result<Self, rustls::Error> {
        let name = ServerName::try_from(SERVER_NAME).expect("it is a name");
        Self::new(setup.clone(), name)
    }

    fn process<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(bytes)
    }
}

impl Side for UnbufferedServerConnection {
    type Setup = Arc<ServerConfig>;
    type Data = ServerConnectionData;

    fn new(setup: &Self::Setup) -> Result<Self, rustls::Error> {
        Self::new(setup.clone())
    }

    fn process<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(bytes)
    }
}

pub(crate) type TlsClient = Tls<UnbufferedClientConnection>;
pub(crate) type TlsServer = Tls<UnbufferedServerConnection>;

/// Where received records are opened, and payload is sealed to.
pub(crate) struct Scratch {
    input: Box<[u8]>,
    output: Box<[u8]>,
}

impl Default for Scratch {
    fn default() -> Self {
        let room = |len| vec![0; len].into_boxed_slice();
        Self {
            input: room(INPUT_SCRATCH),
            output: room(OUTPUT_SCRATCH),
        }
    }
}

pub(crate) struct Tls<S> {
    side: S,
    open: bool,
    /// The other side has properly ended its direction.
    ended: bool,
    /// The first part of a record.
    partial: Vec<u8>,
    /// What the socket has not taken, from `sent` on.
    unsent: Vec<u8>,
    sent: usize,
}

impl<S: Side> Tls<S> {
    /// Takes as many of `bytes` as make up records: payload goes into `into`, answers into what is
    /// unsent. Returns how many of the bytes were taken, and how many bytes of payload came out.
    fn process(&mut self, bytes: &mut [u8], into: &mut [u8]) -> io::Result<(usize, usize)> {
        let (mut used, mut said) = (0, 0);
        loop {
            let status = self.side.process(&mut bytes[used..]);
            used += status.discard;
            match status.state.map_err(failed)? {
                ConnectionState::ReadTraffic(mut read) => {
                    while let Some(record) = read.next_record() {
                        let record = record.map_err(failed)?;
                        let text = record.payload;
                        used += record.discard;
                        into[said..][..text.len()].copy_from_slice(text);
                        said += text.len();
                    }
                }
                ConnectionState::EncodeTlsData(data) => encode(data, &mut self.unsent)?,
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => self.ended = true,
                ConnectionState::WriteTraffic(_) => {
                    self.open = true;
                    return Ok((used, said));
                }
                ConnectionState::BlockedHandshake | ConnectionState::Closed => {
                    return Ok((used, said));
                }
                other => return Err(failed(format!("unexpected: {other:?}"))),
            }
        }
    }

    /// Seals `text` to `room`. Returns how many bytes that makes.
    fn seal(&mut self, text: &[u8], room: &mut [u8]) -> io::Result<usize> {
        loop {
            let status = self.side.process(&mut []);
            match status.state.map_err(failed)? {
                ConnectionState::WriteTraffic(mut write) => {
                    return write.encrypt(text, room).map_err(failed);
                }
                ConnectionState::EncodeTlsData(data) => encode(data, &mut self.unsent)?,
                ConnectionState::TransmitTlsData(data) => data.done(),
                other => return Err(failed(format!("cannot send: {other:?}"))),
            }
        }
    }

    /// Writes what is unsent. Returns whether nothing is left of it.
    fn write_unsent(&mut self, socket: &mut Stream) -> io::Result<bool> {
        if self.unsent() > 0 {
            self.sent += write(socket, &[IoSlice::new(&self.unsent[self.sent..])])?;
        }
        let done = self.unsent() == 0;
        if done {
            self.unsent = Vec::new();
            self.sent = 0;
        }
        Ok(done)
    }
}

/// Appends a record of the handshake to what is unsent.
fn encode<D>(mut data: EncodeTlsData<'_, D>, unsent: &mut Vec<u8>) -> io::Result<()> {
    let from = unsent.len();
    let mut room = 0;
    loop {
        unsent.resize(from + room, 0);
        match data.encode(&mut unsent[from..]) {
            Ok(count) => {
                unsent.truncate(from + count);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(need)) if need.required_size > room => {
                room = need.required_size;
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

/// The next payload to seal, after the first `taken` bytes of `parts`: in place, or copied
/// together in `room` if it has several parts, because each would become a record.
fn next_text<'a>(parts: &'a [IoSlice<'_>], mut taken: usize, room: &'a mut [u8]) -> &'a [u8] {
    let mut filled = 0;
    for (index, part) in parts.iter().enumerate() {
        if taken >= part.len() {
            taken -= part.len();
            continue;
        }
        let rest = &part[taken..];
        taken = 0;
        if filled == 0 && (rest.len() >= SEALED || index + 1 == parts.len()) {
            return &rest[..rest.len().min(SEALED)];
        }
        let count = rest.len().min(SEALED - filled);
        room[filled..filled + count].copy_from_slice(&rest[..count]);
        filled += count;
        if filled == SEALED {
            break;
        }
    }
    &room[..filled]
}

impl<S: Side> Rival for Tls<S> {
    type Setup = S::Setup;
    type Scratch = Scratch;

    fn new(setup: &S::Setup) -> io::Result<Self> {
        let mut new = Self {
            side: S::new(setup).map_err(failed)?,
            open: false,
            ended: false,
            partial: Vec::new(),
            unsent: Vec::new(),
            sent: 0,
        };
        // A client speaks first.
        new.process(&mut [], &mut [])?;
        Ok(new)
    }

    fn is_open(&self) -> bool {
        self.open
    }

    fn receive(
        &mut self,
        socket: &mut Stream,
        into: &mut [u8],
        room: &mut Scratch,
    ) -> io::Result<ReadResult> {
        let kept = self.partial.len();
        // Payload is no longer than its records.
        let input = &mut room.input[..into.len()];
        let read = socket.read(&mut [IoSliceMut::new(&mut input[kept..])])?;
        if read.bytes == 0 {
            return Err(failed("it was cut off"));
        }
        input[..kept].copy_from_slice(&self.partial);
        let came = kept + read.bytes;
        let (used, said) = self.process(&mut input[..came], into)?;
        self.partial.clear();
        if used < came && !self.ended {
            self.partial.extend_from_slice(&input[used..came]);
        } else {
            self.partial = Vec::new();
        }
        Ok(ReadResult {
            bytes: said,
            drained: read.drained,
            ended: self.ended,
        })
    }

    fn send(
        &mut self,
        socket: &mut Stream,
        parts: &[IoSlice<'_>],
        room: &mut Scratch,
    ) -> io::Result<usize> {
        if !self.write_unsent(socket)? {
            return Ok(0);
        }
        let all: usize = parts.iter().map(|part| part.len()).sum();
        let mut taken = 0;
        while taken < all {
            let text = next_text(parts, taken, &mut room.input);
            let count = text.len();
            let sealed = self.seal(text, &mut room.output)?;
            taken += count;
            let wrote = match self.write_unsent(socket)? {
                true => write(socket, &[IoSlice::new(&room.output[..sealed])])?,
                false => 0,
            };
            if wrote < sealed {
                self.unsent.extend_from_slice(&room.output[wrote..sealed]);
                break;
            }
        }
        Ok(taken)
    }

    fn unsent(&self) -> usize {
        self.unsent.len() - self.sent
    }

    fn finish(&mut self) -> io::Result<()> {
        let mut room = [0; ALERT];
        let status = self.side.process(&mut []);
        match status.state.map_err(failed)? {
            ConnectionState::WriteTraffic(mut write) => {
                let count = write.queue_close_notify(&mut room).map_err(failed)?;
                self.unsent.extend_from_slice(&room[..count]);
                Ok(())
            }
            other => Err(failed(format!("cannot end: {other:?}"))),
        }
    }
}

fn failed(why: impl std::fmt::Display) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("TLS: {why}"))
}
