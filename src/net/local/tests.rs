#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{ErrorKind, Read, Seek as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use socket2::SockRef;

use super::*;
use crate::net::testing::{Bench, SUBJECT, WAKE};

fn open(bench: &Bench, fd: impl AsFd, direction: Direction) -> Local {
    let waker = Arc::clone(&bench.waker);
    Local::open(fd.as_fd(), direction, waker, bench.registry(), SUBJECT).unwrap()
}

/// One read of up to 64 bytes; `None` where there is nothing yet.
fn read(input: &mut Local) -> Option<Vec<u8>> {
    let mut room = [0; 64];
    match input.read(&mut room) {
        Ok(read) => {
            assert_eq!(read.drained, read.bytes == 0);
            Some(room[..read.bytes].to_vec())
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            None
        }
    }
}

/// One write of `bytes`; `None` where there is no room yet.
fn write(output: &mut Local, bytes: &[u8]) -> Option<usize> {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    match output.write(&[IoSlice::new(first), IoSlice::new(second)]) {
        Ok(written) => Some(written),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            None
        }
    }
}

/// A terminal: the side of the person, and the side of the program.
fn terminal() -> (File, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let typist = openpt(flags).unwrap();
    grantpt(&typist).unwrap();
    unlockpt(&typist).unwrap();
    let program = ioctl_tiocgptpeer(&typist, flags).unwrap();
    (typist.into(), program)
}

/// Goal: an event says when a full terminal has room again, and every byte arrives. Method:
/// fill it, empty it from the other end, write on; read that.
#[test]
fn full_output_is_waited_for() {
    let mut bench = Bench::new();
    let (mut person, program) = terminal();
    let mut output = open(&bench, &program, Direction::Out);
    let mut total = 0;
    while let Some(written) = write(&mut output, &[b'a'; 1000]) {
        total += written;
        assert!(total < 64 << 20, "it takes everything");
    }
    assert!(total > 0);
    bench.events(Duration::ZERO);
    let mut seen = vec![0; total];
    person.read_exact(&mut seen).unwrap();
    assert!(seen.iter().all(|byte| *byte == b'a'));
    bench.until(SUBJECT, |event| event.is_writable());
    assert_eq!(write(&mut output, b"more"), Some(4));
    person.read_exact(&mut seen[..4]).unwrap();
    assert_eq!(&seen[..4], b"more");
}

/// Goal: writing for a reader that has left fails as a broken pipe, from a helper too. Method:
/// it leaves before we open a FIFO, which then cannot be opened again.
#[test]
fn broken_pipe_is_told() {
    let mut bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let both_ways = File::options().read(true).write(true).open(&path).unwrap();
    let fifo = File::options().write(true).open(&path).unwrap();
    drop(both_ways);
    let mut output = open(&bench, &fifo, Direction::Out);
    assert!(matches!(output, Local::Helped { .. }));
    let error = loop {
        match output.write(&[IoSlice::new(b"x")]).unwrap_err() {
            error if error.kind() == ErrorKind::WouldBlock => {}
            error => break error,
        }
        bench.until(WAKE, |event| event.is_readable());
    };
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

/// Goal: a file is always ready and shares its offset with the program that opened it.
/// Method: write through ours, then through theirs; read likewise.
#[test]
fn file_shares_its_offset() {
    let bench = Bench::new();
    let mut file = tempfile::tempfile().unwrap();
    let mut output = open(&bench, &file, Direction::Out);
    assert_eq!(write(&mut output, b"ours "), Some(5));
    file.write_all(b"theirs").unwrap();
    file.rewind().unwrap();
    let mut input = open(&bench, &file, Direction::In);
    assert_eq!(read(&mut input).unwrap(), b"ours theirs");
    assert_eq!(read(&mut input).unwrap(), b"");
}

/// Goal: a helper reads on demand, in order, to the end. Method: a socket as input, with
/// more bytes than one read takes; the socket is non-blocking, as another program may
/// have left it.
#[test]
fn helper_reads() {
    let mut bench = Bench::new();
    let (socket, mut other) = UnixStream::pair().unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut input = open(&bench, &socket, Direction::In);
    assert_eq!(read(&mut input), None);
    let sent: Vec<u8> = (0..=255).collect();
    other.write_all(&sent).unwrap();
    drop(other);
    let mut seen = Vec::new();
    loop {
        match read(&mut input) {
            Some(bytes) if bytes.is_empty() => break,
            Some(bytes) => seen.extend(bytes),
            None => drop(bench.until(WAKE, |event| event.is_readable())),
        }
    }
    assert_eq!(seen, sent);
}

/// Goal: a helper does not read ahead, so the next program finds those bytes. Method:
/// open an input, wait, read the bytes past it.
#[test]
fn helper_does_not_read_ahead() {
    let bench = Bench::new();
    let (mut socket, mut other) = UnixStream::pair().unwrap();
    other.write_all(b"not ours").unwrap();
    let _input = open(&bench, &socket, Direction::In);
    thread::sleep(Duration::from_millis(50));
    let mut seen = [0; 8];
    socket.read_exact(&mut seen).unwrap();
    assert_eq!(&seen, b"not ours");
}

/// Goal: what a helper reports as written is written. Method: a socket with less room
/// than one block: no completion before the other side reads; then the counts and the
/// bytes agree.
#[test]
fn helper_writes_for_good() {
    let mut bench = Bench::new();
    let (socket, mut other) = UnixStream::pair().unwrap();
    SockRef::from(&socket).set_send_buffer_size(4096).unwrap();
    let mut output = open(&bench, &socket, Direction::Out);
    drop(socket);
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
    assert_eq!(write(&mut output, &bytes), None);
    thread::sleep(Duration::from_millis(50));
    assert_eq!(write(&mut output, &bytes), None, "not read yet");

    let reader = thread::spawn(move || {
        let mut seen = Vec::new();
        other.read_to_end(&mut seen).unwrap();
        seen
    });
    let mut written = 0;
    while written < bytes.len() {
        match write(&mut output, &bytes[written..]) {
            Some(more) => written += more,
            None => drop(bench.until(WAKE, |event| event.is_readable())),
        }
    }
    drop(output);
    assert_eq!(reader.join().unwrap(), bytes);
}
