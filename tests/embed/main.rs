//! An endpoint over a transport that is no socket, as users of the library would have it.
//!
//! Uses only what the documentation shows. Leaves with an error where an answer is wrong.

use std::error::Error;
use std::io::{self, ErrorKind, IoSliceMut};

use sealwire::{
    Endpoint, Identity, Kernel, Leaves, PeerId, Read, Secret, SecretPair, Setup, Sink, Time,
    Transport,
};

/// A network on which nothing arrives.
struct Silence {
    written: usize,
}

impl Transport for Silence {
    fn read(&mut self, _: PeerId, _: &mut [IoSliceMut<'_>]) -> io::Result<Read> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn write(&mut self, _: PeerId, bytes: &[u8]) -> io::Result<usize> {
        self.written += bytes.len();
        Ok(bytes.len())
    }

    fn shut_down(&mut self, _: PeerId) {}

    fn close(&mut self, _: PeerId) {}
}

/// A client's hello of 80 bytes leaves.
fn main() -> Result<(), Box<dyn Error>> {
    let secrets = SecretPair {
        confkey: Secret::new(rand::random::<[u8; 32]>().to_vec()),
        authkey: Secret::new(rand::random::<[u8; 32]>().to_vec()),
    };
    let mut setup = Setup::new(Kernel::fastest()?, Leaves::WhenStopped, rand::random());
    setup.identity = Identity::new(&secrets);
    let mut endpoint = Endpoint::new(setup, Sink);
    let mut silence = Silence { written: 0 };
    endpoint.dialled(Time::ZERO);
    endpoint.tick(Time::ZERO, &mut silence);
    assert_eq!(silence.written, 80);
    Ok(())
}
