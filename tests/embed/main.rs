//! The library as its users have it: a server with a mode of its own on the event loop, a
//! client that is a session on a blocking socket, and a transport that is no socket.
//!
//! Uses only what the documentation shows. Leaves with an error where an answer is wrong.

use std::error::Error;
use std::io::{self, ErrorKind, IoSliceMut, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use sealwire::{
    Abort, Clock, Context, Endpoint, EndpointEvent, EventLoop, HandedOn, Identity, Kernel, Leaves,
    Message, Mode, PeerId, Read, Reason, Receivers, Report, Secret, SecretPair, Session,
    SessionEvent, Setup, Transport,
};

type Failed = Box<dyn Error + Send + Sync>;

/// Answers each message with its length.
struct Measure;

impl Mode for Measure {
    fn receivers(&self) -> Receivers {
        Receivers::Sender
    }

    fn message(&mut self, context: &mut Context, peer: PeerId, message: Message<'_>) {
        let answer = format!("{} bytes", message.len());
        if !context.send_bytes(peer, answer.as_bytes()) {
            // Without an answer the peer must not be told that its message was handed on.
            context.abort(peer, Abort::new(Reason::GOING_AWAY, ""));
        }
    }

    fn fin(&mut self, context: &mut Context, peer: PeerId) -> HandedOn {
        context.finish(peer);
        HandedOn::Now
    }
}

fn main() -> Result<(), Failed> {
    let secrets = SecretPair {
        confkey: Secret::new(rand::random::<[u8; 32]>().to_vec()),
        authkey: Secret::new(rand::random::<[u8; 32]>().to_vec()),
    };
    let identity = Identity::new(&secrets).ok_or("32 bytes each")?;
    let (tell, address) = channel();
    let serving = identity.clone();
    let server = thread::spawn(move || serve(serving, &tell));
    let answer = ask(identity.clone(), address.recv()?, b"how long is this?")?;
    assert_eq!(answer, b"17 bytes");
    server.join().map_err(|_| "the server panicked")??;
    without_a_socket(identity)
}

/// Serves until its first peer has left.
fn serve(identity: Arc<Identity>, listening: &Sender<SocketAddr>) -> Result<(), Failed> {
    let mut events = EventLoop::new(endpoint(identity)?, Clock::start())?;
    events.listen_on(Some("127.0.0.1"), 0)?;
    while events.endpoint().end().is_none() {
        for report in events.take_reports() {
            match report {
                Report::Listening(address) => listening.send(address)?,
                Report::Endpoint(EndpointEvent::Left(..)) => {
                    let now = events.now();
                    events.endpoint_mut().stop(now);
                }
                _ => {}
            }
        }
        events.turn(None)?;
    }
    Ok(())
}

fn endpoint(identity: Arc<Identity>) -> Result<Endpoint<Measure>, Failed> {
    let mut setup = Setup::new(Kernel::fastest()?, Leaves::WhenStopped, rand::random());
    setup.identity = Some(identity);
    Ok(Endpoint::new(setup, Measure))
}

/// Sends `question`, and returns the answer once both sides are complete.
fn ask(identity: Arc<Identity>, server: SocketAddr, question: &[u8]) -> Result<Vec<u8>, Failed> {
    let clock = Clock::start();
    let mut socket = TcpStream::connect(server)?;
    let mut session = Session::client(identity, Kernel::fastest()?, rand::random(), clock.now())
        .with_max_message(1 << 16);
    let (mut input, mut output, mut answer) = ([0; 4096], Vec::new(), Vec::new());
    session.start(clock.now(), &mut output);
    loop {
        while let Some(event) = session.poll_event() {
            match event {
                SessionEvent::Open => {
                    if !session.send(clock.now(), question, &mut output) {
                        return Err("it is open".into());
                    }
                    session.finish(clock.now(), &mut output);
                }
                SessionEvent::Message(message) => answer = message,
                SessionEvent::ShutDown => {
                    socket.write_all(&std::mem::take(&mut output))?;
                    socket.shutdown(Shutdown::Write)?;
                }
                SessionEvent::Over(outcome) => {
                    outcome?;
                    return Ok(answer);
                }
                _ => {}
            }
        }
        socket.write_all(&output)?;
        output.clear();
        let count = socket.read(&mut input)?;
        session.receive(clock.now(), &input[..count], &mut output);
    }
}

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

/// An endpoint on a transport of our own: a client's hello of 80 bytes leaves.
fn without_a_socket(identity: Arc<Identity>) -> Result<(), Failed> {
    let mut endpoint = endpoint(identity)?;
    let mut silence = Silence { written: 0 };
    let now = Clock::start().now();
    endpoint.dialled(now);
    endpoint.tick(now, &mut silence);
    assert_eq!(silence.written, 80);
    Ok(())
}
