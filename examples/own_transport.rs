//! A connection over a transport of one's own: here channels between two threads.
//!
//! ```sh
//! cargo run --example own_transport
//! ```
//!
//! A `Session` does no I/O. It takes the bytes that came, and gives events, and bytes to
//! send. `drive` does the I/O; over a pipe or a serial line it would look much the same.

use std::error::Error;
use std::mem;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;

use sealwire::{Clock, Identity, Kernel, Outcome, Secret, SecretPair, Session, SessionEvent};

/// One end of the transport.
struct Line {
    /// Dropped when we shut down writing: the other end sees the end of the stream.
    out: Option<Sender<Vec<u8>>>,
    incoming: Receiver<Vec<u8>>,
}

impl Line {
    fn pair() -> [Self; 2] {
        let [one, two] = [channel(), channel()];
        [(one.0, two.1), (two.0, one.1)].map(|(out, incoming)| Self {
            out: Some(out),
            incoming,
        })
    }

    /// Sends all of `output`. A session needs not know if this fails: reading fails, too.
    fn write(&self, output: &mut Vec<u8>) {
        if let Some(out) = &self.out
            && !output.is_empty()
        {
            let _ = out.send(mem::take(output));
        }
    }
}

/// Runs `session` over `line` to its end. `act` gets what happens, and answers into the
/// output.
fn drive(
    mut session: Session,
    mut line: Line,
    clock: Clock,
    mut act: impl FnMut(&mut Session, SessionEvent, &mut Vec<u8>),
) -> Outcome {
    let mut output = Vec::new();
    session.start(clock.now(), &mut output);
    loop {
        while let Some(event) = session.poll_event() {
            match event {
                SessionEvent::ShutDown => {
                    line.write(&mut output);
                    line.out = None;
                }
                SessionEvent::Over(outcome) => return outcome,
                event => act(&mut session, event, &mut output),
            }
        }
        line.write(&mut output);
        let timeout = session.poll_timeout().expect("it is not over");
        match line.incoming.recv_timeout(timeout.since(clock.now())) {
            Ok(bytes) => session.receive(clock.now(), &bytes, &mut output),
            Err(RecvTimeoutError::Timeout) => session.handle_timeout(clock.now(), &mut output),
            // No bytes are the end of the stream.
            Err(RecvTimeoutError::Disconnected) => session.receive(clock.now(), &[], &mut output),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let secrets = SecretPair {
        confkey: Secret::new(rand::random::<[u8; 32]>().to_vec()),
        authkey: Secret::new(rand::random::<[u8; 32]>().to_vec()),
    };
    let identity = Identity::new(&secrets).ok_or("32 bytes each")?;
    let (kernel, clock) = (Kernel::fastest()?, Clock::start());
    let [here, there] = Line::pair();

    let server = Session::server(identity.clone(), kernel, rand::random(), clock.now());
    let server = thread::spawn(move || {
        drive(server, there, clock, |session, event, output| match event {
            SessionEvent::Message(question) => {
                let answer = format!("{} bytes", question.len());
                assert!(session.send(clock.now(), answer.as_bytes(), output));
            }
            SessionEvent::Fin => session.finish(clock.now(), output),
            _ => {}
        })
    });

    let client = Session::client(identity, kernel, rand::random(), clock.now());
    let mut answer = Vec::new();
    let outcome = drive(client, here, clock, |session, event, output| match event {
        SessionEvent::Open => {
            assert!(session.send(clock.now(), b"How long is this?", output));
            session.finish(clock.now(), output);
        }
        SessionEvent::Message(message) => answer = message,
        _ => {}
    });

    // Complete: each side knows that the other has everything.
    outcome?;
    server.join().map_err(|_| "the server panicked")??;
    assert_eq!(answer, b"17 bytes");
    Ok(())
}
