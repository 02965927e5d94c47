//! A sealed connection in an async program: `AsyncRead` and `AsyncWrite` over tokio.
//!
//! ```sh
//! cargo run --example over_tokio
//! ```
//!
//! A task drives the `Session`. It keeps the connection alive while the program does other
//! things, and it never lets one direction wait for the other. A read tells a stream that
//! the other side has finished (`Ok(0)`) from one that was cut (an error).

use std::error::Error;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use sealwire::{
    Abort, Clock, Identity, Kernel, Outcome, Reason, Secret, SecretPair, Session, SessionEvent,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

type Failed = Box<dyn Error + Send + Sync>;

/// Bytes that wait between the program and the task, in each direction; also of a message.
const PIECE: usize = 16 * 1024;

/// What the other side sends.
struct Reader {
    plain: DuplexStream,
    /// How it ended: set before `plain` ends.
    end: Arc<OnceLock<Outcome>>,
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = into.remaining();
        ready!(Pin::new(&mut self.plain).poll_read(task, into))?;
        if into.remaining() < room || room == 0 {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(match self.end.get() {
            Some(Ok(())) => Ok(()),
            Some(Err(failure)) => Err(io::Error::new(ErrorKind::UnexpectedEof, failure.clone())),
            None => Err(io::Error::new(ErrorKind::UnexpectedEof, "its task is gone")),
        })
    }
}

/// What we send. Shut it down when that is all: if it is dropped before, the other side
/// learns that something is missing.
struct Writer {
    plain: DuplexStream,
    finished: Arc<AtomicBool>,
}

impl AsyncWrite for Writer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.plain).poll_write(task, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.plain).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finished.store(true, Ordering::Release);
        Pin::new(&mut self.plain).poll_shutdown(task)
    }
}

/// Runs `session` over `socket`. The task ends with the connection: with `Ok` if each side has
/// everything that the other sent.
fn seal<S>(socket: S, session: Session, clock: Clock) -> (Reader, Writer, JoinHandle<Outcome>)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let [(incoming, to_us), (outgoing, from_us)] = [(); 2].map(|()| tokio::io::duplex(PIECE));
    let (end, finished) = (Arc::default(), Arc::default());
    let driver = Driver {
        session: session.with_max_message(PIECE).confirming_by_hand(),
        clock,
        sealed: Vec::new(),
        plain: Vec::new(),
        takes: false,
        end: Arc::clone(&end),
        finished: Arc::clone(&finished),
    };
    let task = tokio::spawn(driver.run(socket, from_us, to_us));
    let reader = Reader {
        plain: incoming,
        end,
    };
    let writer = Writer {
        plain: outgoing,
        finished,
    };
    (reader, writer, task)
}

struct Driver {
    session: Session,
    clock: Clock,
    /// What the socket has not taken yet.
    sealed: Vec<u8>,
    /// What the program has not taken yet.
    plain: Vec<u8>,
    /// The session takes what the program writes.
    takes: bool,
    end: Arc<OnceLock<Outcome>>,
    finished: Arc<AtomicBool>,
}

impl Driver {
    async fn run(
        mut self,
        socket: impl AsyncRead + AsyncWrite,
        mut from_us: DuplexStream,
        mut to_us: DuplexStream,
    ) -> Outcome {
        let (mut from_peer, mut to_peer) = tokio::io::split(socket);
        let (mut received, mut written) = (vec![0; PIECE], vec![0; PIECE]);
        let (mut fin, mut shut_down) = (false, false);
        self.session.start(self.clock.now(), &mut self.sealed);
        let outcome = 'over: loop {
            while let Some(event) = self.session.poll_event() {
                match event {
                    SessionEvent::Open => self.takes = true,
                    SessionEvent::Message(message) => self.plain.extend_from_slice(&message),
                    SessionEvent::Fin => fin = true,
                    SessionEvent::ShutDown => shut_down = true,
                    SessionEvent::Over(outcome) => break 'over outcome,
                    _ => {}
                }
            }
            if fin && self.plain.is_empty() {
                fin = false;
                let _ = self.end.set(Ok(()));
                let _ = to_us.shutdown().await;
                self.session.confirm(self.clock.now(), &mut self.sealed);
                continue;
            }
            if shut_down && self.sealed.is_empty() {
                shut_down = false;
                let _ = to_peer.shutdown().await;
            }
            let now = self.clock.now();
            self.session.set_reading(now, self.plain.is_empty());
            let timeout = self.session.poll_timeout().expect("it is not over");
            tokio::select! {
                count = from_peer.read(&mut received), if self.plain.is_empty() => {
                    // To a session, an error is the end of the stream, which is no bytes.
                    let bytes = &received[..count.unwrap_or(0)];
                    self.session.receive(self.clock.now(), bytes, &mut self.sealed);
                }
                count = to_peer.write(&self.sealed), if !self.sealed.is_empty() => match count {
                    Ok(count) if count > 0 => drop(self.sealed.drain(..count)),
                    // Reading fails, too, and says why.
                    _ => self.sealed.clear(),
                },
                count = from_us.read(&mut written), if self.takes && self.sealed.is_empty() => {
                    self.take(&written[..count.unwrap_or(0)]);
                }
                count = to_us.write(&self.plain), if !self.plain.is_empty() => match count {
                    Ok(count) => drop(self.plain.drain(..count)),
                    Err(_) => {
                        self.plain.clear();
                        self.give_up("the reader is gone");
                    }
                },
                () = tokio::time::sleep(timeout.since(now)) => {
                    self.session.handle_timeout(self.clock.now(), &mut self.sealed);
                }
            }
        };
        let _ = to_us.write_all(&self.plain).await;
        let _ = self.end.set(outcome.clone());
        outcome
    }

    /// Takes what the program has written; no bytes are the end.
    fn take(&mut self, bytes: &[u8]) {
        let now = self.clock.now();
        if !bytes.is_empty() {
            self.takes = self.session.send(now, bytes, &mut self.sealed);
        } else if self.finished.load(Ordering::Acquire) {
            self.takes = false;
            self.session.finish(now, &mut self.sealed);
        } else {
            self.give_up("the writer is gone");
        }
    }

    /// Tells the other side that something will be missing.
    fn give_up(&mut self, why: &str) {
        self.takes = false;
        let abort = Abort::new(Reason::LOCAL_ERROR, why);
        self.session
            .abort(self.clock.now(), abort, &mut self.sealed);
    }
}

/// Returns everything to its sender, as a server would for each connection.
async fn echo(socket: TcpStream, identity: Arc<Identity>) -> Result<u64, Failed> {
    socket.set_nodelay(true)?;
    let (clock, kernel) = (Clock::start(), Kernel::fastest()?);
    let session = Session::server(identity, kernel, rand::random(), clock.now());
    let (mut reader, mut writer, task) = seal(socket, session, clock);
    let count = tokio::io::copy(&mut reader, &mut writer).await?;
    writer.shutdown().await?;
    task.await??;
    Ok(count)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let secrets = SecretPair {
        confkey: Secret::new(rand::random::<[u8; 32]>().to_vec()),
        authkey: Secret::new(rand::random::<[u8; 32]>().to_vec()),
    };
    let identity = Identity::new(&secrets).ok_or("32 bytes each")?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;

    for cut in [false, true] {
        let socket = TcpStream::connect(listener.local_addr()?).await?;
        socket.set_nodelay(true)?;
        let server = tokio::spawn(echo(listener.accept().await?.0, identity.clone()));
        let (clock, kernel) = (Clock::start(), Kernel::fastest()?);
        let session = Session::client(identity.clone(), kernel, rand::random(), clock.now());
        let (mut reader, mut writer, task) = seal(socket, session, clock);

        writer.write_all(b"Good morning!").await?;
        let mut answer = [0; 13];
        reader.read_exact(&mut answer).await?;
        assert_eq!(&answer, b"Good morning!");
        if cut {
            // As if this process were killed.
            task.abort();
            let error = server.await?.expect_err("nobody said that this was all");
            let error = error.downcast::<io::Error>()?;
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        } else {
            writer.shutdown().await?;
            assert_eq!(reader.read(&mut answer).await?, 0);
            // Now it is certain that the server has everything.
            task.await??;
            assert_eq!(server.await??, 13);
        }
    }
    Ok(())
}
