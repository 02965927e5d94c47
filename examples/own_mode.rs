//! A server with a mode of one's own, and its client: both are a `Mode` on an `EventLoop`.
//!
//! ```sh
//! cargo run --example own_mode
//! ```
//!
//! The server keeps notes for all its peers. A mode sees whole messages of proved peers; the
//! endpoint sees to the bounds of memory and time, and the loop to the sockets.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::thread;

use sealwire::{
    Abort, Clock, Context, End, Endpoint, EndpointEvent, EventLoop, Identity, Kernel, Leaves,
    Message, Mode, PeerId, Reason, Receivers, Report, Secret, SecretPair, Setup,
};

type Failed = Box<dyn Error + Send + Sync>;

/// Most notes that are kept, so that peers cannot fill the memory.
const MOST_NOTES: usize = 1000;
/// Most bytes of a message, which hold for a note, too.
const LONGEST: usize = 1 << 12;

/// Answers `put NAME TEXT` and `get NAME`.
#[derive(Default)]
struct Notes {
    notes: HashMap<String, String>,
}

impl Notes {
    fn answer(&mut self, request: &str) -> String {
        let words: Vec<&str> = request.splitn(3, ' ').collect();
        match words[..] {
            ["put", ..] if self.notes.len() == MOST_NOTES => "full".into(),
            ["put", name, text] => {
                self.notes.insert(name.into(), text.into());
                "kept".into()
            }
            ["get", name] => self.notes.get(name).cloned().unwrap_or_default(),
            _ => "put NAME TEXT, or get NAME".into(),
        }
    }
}

impl Mode for Notes {
    /// A peer that does not read its answers is not read either.
    fn receivers(&self) -> Receivers {
        Receivers::Sender
    }

    fn message(&mut self, context: &mut Context, peer: PeerId, message: Message<'_>) {
        let request = context.pieces(message).collect::<Vec<_>>().concat();
        let answer = self.answer(&String::from_utf8_lossy(&request));
        if !context.send_bytes(peer, answer.as_bytes()) {
            // Without an answer the peer must not be told that its message was handed on.
            context.abort(peer, Abort::new(Reason::GOING_AWAY, ""));
        }
    }
}

/// Sends all requests at once, and leaves with their answers.
struct Client {
    requests: Vec<&'static str>,
    answers: Vec<String>,
}

impl Mode for Client {
    fn receivers(&self) -> Receivers {
        Receivers::Nobody
    }

    fn joined(&mut self, context: &mut Context, server: PeerId) {
        for request in &self.requests {
            assert!(context.send_bytes(server, request.as_bytes()));
        }
        context.finish(server);
    }

    fn message(&mut self, context: &mut Context, _: PeerId, message: Message<'_>) {
        let answer = context.pieces(message).collect::<Vec<_>>().concat();
        self.answers.push(String::from_utf8_lossy(&answer).into());
    }
}

/// A loop around `mode`, which waits for nothing yet.
fn event_loop<M: Mode>(
    identity: Arc<Identity>,
    leaves: Leaves,
    mode: M,
) -> Result<EventLoop<M>, Failed> {
    let mut setup = Setup::new(Kernel::fastest()?, leaves, rand::random());
    setup.identity = Some(identity);
    setup.limits.max_message = LONGEST;
    Ok(EventLoop::new(Endpoint::new(setup, mode), Clock::start())?)
}

fn main() -> Result<(), Failed> {
    let secrets = SecretPair {
        confkey: Secret::new(rand::random::<[u8; 32]>().to_vec()),
        authkey: Secret::new(rand::random::<[u8; 32]>().to_vec()),
    };
    let identity = Identity::new(&secrets).ok_or("32 bytes each")?;

    let mut server = event_loop(identity.clone(), Leaves::WhenStopped, Notes::default())?;
    server.listen_on(Some("127.0.0.1"), 0)?;
    // An address, unlike a name, needs no lookup, so the port is known by now.
    let address = match server.take_reports()[..] {
        [Report::Listening(address)] => address,
        _ => return Err("it does not listen".into()),
    };
    let server = thread::spawn(move || -> Result<(), Failed> {
        while server.endpoint().end().is_none() {
            server.turn(None)?;
            for report in server.take_reports() {
                // A server that stays would log the outcome, and go on.
                if let Report::Endpoint(EndpointEvent::Left(_, outcome)) = report {
                    outcome?;
                    let now = server.now();
                    server.endpoint_mut().stop(now);
                }
            }
        }
        Ok(())
    });

    let mode = Client {
        requests: vec!["put door 4711", "get door", "get window"],
        answers: Vec::new(),
    };
    let mut client = event_loop(identity, Leaves::WithPeers, mode)?;
    client.dial("127.0.0.1", address.port());
    while client.endpoint().end().is_none() {
        client.turn(None)?;
    }
    assert_eq!(client.endpoint().end(), Some(End::Complete));
    assert_eq!(client.endpoint().mode().answers, ["kept", "4711", ""]);
    server.join().map_err(|_| "the server panicked")?
}
