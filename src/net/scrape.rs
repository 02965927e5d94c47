//! A thread that answers HTTP requests with text that the loop gives: figures for a monitoring
//! system.
//!
//! It serves one request after the other, each within a deadline, and closes the connection
//! behind each. So no client holds up the loop, which only hands over a text, or another client
//! for long. It ends with the process. It does not know the figures. Read next:
//! [`Report::MetricsWanted`](super::report::Report).

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use mio::Waker;

use crate::limits::{ACCEPT_PAUSE, SCRAPE_DEADLINE, SCRAPE_FRESH, SCRAPE_REQUEST};

/// What the content is: the text format of Prometheus.
const CONTENT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The loop's end of the thread.
#[derive(Debug)]
pub(super) struct Scraper {
    requests: Receiver<Wanted>,
}

/// A request that waits for its text. Dropped, it fails.
#[derive(Debug)]
pub struct Wanted(SyncSender<String>);

impl Wanted {
    /// Answers it with `text`, without waiting.
    pub fn answer(self, text: String) {
        // The thread may have given up.
        let _ = self.0.try_send(text);
    }
}

impl Scraper {
    /// Listens on `address` and starts the thread, which wakes the poll for each request that
    /// it has. Returns the address with the port that the system chose, too.
    pub(super) fn start(address: SocketAddr, waker: Arc<Waker>) -> io::Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind(address)?;
        let bound = listener.local_addr()?;
        let (sender, requests) = mpsc::channel();
        let asked = Asked {
            sender,
            waker,
            last: None,
        };
        thread::Builder::new()
            .name("metrics".into())
            .spawn(move || serve(&listener, asked))?;
        Ok((Self { requests }, bound))
    }

    /// The request that waits, if there is one: there is one at a time.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        self.requests.try_recv().ok()
    }
}

/// The thread.
fn serve(listener: &TcpListener, mut asked: Asked) {
    loop {
        match listener.accept() {
            // A client that fails gets no answer.
            Ok((socket, _)) => drop(answer(Hurried::new(socket), &mut asked)),
            // No descriptor is left, or the connection is gone.
            Err(_) => thread::sleep(ACCEPT_PAUSE),
        }
    }
}

/// Where the thread gets texts.
struct Asked {
    sender: Sender<Wanted>,
    waker: Arc<Waker>,
    last: Option<(Instant, String)>,
}

impl Asked {
    /// The loop's text, at most [`SCRAPE_FRESH`] old; `None` if the loop gives none by `end`.
    fn text(&mut self, end: Instant) -> Option<&str> {
        self.last = self
            .last
            .take()
            .filter(|(at, _)| at.elapsed() < SCRAPE_FRESH);
        if self.last.is_none() {
            let (sender, text) = mpsc::sync_channel(1);
            self.sender.send(Wanted(sender)).ok()?;
            self.waker.wake().ok()?;
            let left = end.saturating_duration_since(Instant::now());
            self.last = Some((Instant::now(), text.recv_timeout(left).ok()?));
        }
        self.last.as_ref().map(|(_, text)| &text[..])
    }
}

/// Reads one request and answers it.
fn answer(mut socket: Hurried, asked: &mut Asked) -> io::Result<()> {
    let line = request(&mut socket)?;
    let mut words = line.split_ascii_whitespace();
    let (method, target) = (words.next(), words.next().unwrap_or_default());
    let (path, _) = target.split_once('?').unwrap_or((target, ""));
    let (status, text) = match (method, path) {
        (Some("GET"), "/metrics") => match asked.text(socket.end) {
            Some(text) => ("200 OK", text),
            None => ("503 Service Unavailable", "the server is busy or leaves\n"),
        },
        (Some("GET"), _) => ("404 Not Found", "figures are at /metrics\n"),
        _ => (
            "405 Method Not Allowed\r\nAllow: GET",
            "only GET is served\n",
        ),
    };
    let length = text.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {CONTENT}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    socket.write_all(head.as_bytes())?;
    socket.write_all(text.as_bytes())?;
    // Closed with bytes unread, the connection would be reset, and the answer lost.
    socket.socket.shutdown(Shutdown::Write)?;
    io::copy(&mut socket.take(SCRAPE_REQUEST), &mut io::sink())?;
    Ok(())
}

/// The first line of a request, once all of its head has come.
fn request(socket: &mut Hurried) -> io::Result<String> {
    let mut lines = BufReader::new(socket.take(SCRAPE_REQUEST));
    let mut first = String::new();
    lines.read_line(&mut first)?;
    let mut line = Vec::new();
    while line != b"\r\n" && line != b"\n" {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(first)
}

/// A connection whose reads and writes fail from a time on, however little each brings.
struct Hurried {
    socket: TcpStream,
    end: Instant,
}

impl Hurried {
    fn new(socket: TcpStream) -> Self {
        let end = Instant::now() + SCRAPE_DEADLINE;
        Self { socket, end }
    }

    /// How long the next call may take.
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.end.saturating_duration_since(Instant::now());
        match left.is_zero() {
            true => Err(ErrorKind::TimedOut.into()),
            false => Ok(Some(left)),
        }
    }
}

impl Read for Hurried {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.left()?)?;
        self.socket.read(buffer)
    }
}

impl Write for Hurried {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.left()?)?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
