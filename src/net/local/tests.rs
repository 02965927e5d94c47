#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Seek as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use socket2::SockRef;

use super::*;
use crate::net::testing::{Bench, SUBJECT, WAKE};

fn input(bench: &Bench, fd: impl AsFd) -> Input {
    let waker = Arc::clone(&bench.waker);
    Input::open(fd.as_fd(), waker, bench.registry(), SUBJECT).unwrap()
}

fn output(bench: &Bench, fd: impl AsFd) -> Output {
    let waker = Arc::clone(&bench.waker);
    Output::open(fd.as_fd(), waker, bench.registry(), SUBJECT).unwrap()
}

/// One read of up to 64 bytes; `None` where there is nothing yet.
fn read(input: &mut Input) -> Option<Vec<u8>> {
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
fn write(output: &mut Output, bytes: &[u8]) -> Option<usize> {
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

/// Writes until there is no room; says how much it wrote.
fn fill(output: &mut Output, block: &[u8]) -> usize {
    let mut total = 0;
    while let Some(written) = write(output, block) {
        total += written;
        assert!(total < 64 << 20, "it takes everything");
    }
    total
}

/// Goal: an event says when bytes come to a pipe, and when its end comes behind them.
/// Method: write, read until empty, write and close, read to the end.
#[test]
fn pipe_is_read_to_its_end() {
    let mut bench = Bench::new();
    let (reader, mut writer): (PipeReader, PipeWriter) = io::pipe().unwrap();
    let mut input = input(&bench, &reader);
    assert_eq!(read(&mut input), None);
    writer.write_all(b"first").unwrap();
    bench.until(SUBJECT, |event| event.is_readable());
    assert_eq!(read(&mut input).unwrap(), b"first");
    assert_eq!(read(&mut input), None);
    writer.write_all(b"last").unwrap();
    drop(writer);
    bench.until(SUBJECT, |event| event.is_read_closed());
    assert_eq!(read(&mut input).unwrap(), b"last");
    assert_eq!(read(&mut input).unwrap(), b"");
}

/// Goal: an event says when a full pipe or terminal has room again, and every byte
/// arrives. Method: fill it, empty it from the other end, write on; read that.
#[test]
fn full_output_is_waited_for() {
    fn waits(program: impl AsFd, block: &[u8], mut other: impl Read) {
        let mut bench = Bench::new();
        let mut output = output(&bench, &program);
        let total = fill(&mut output, block);
        assert!(total > 0);
        bench.events(Duration::ZERO);
        let mut seen = vec![0; total];
        other.read_exact(&mut seen).unwrap();
        assert!(seen.iter().all(|byte| *byte == block[0]));
        bench.until(SUBJECT, |event| event.is_writable());
        assert_eq!(write(&mut output, b"more"), Some(4));
        other.read_exact(&mut seen[..4]).unwrap();
        assert_eq!(&seen[..4], b"more");
    }
    let (reader, writer) = io::pipe().unwrap();
    waits(writer, &[b'a'; 10_000], reader);
    let (person, program) = terminal();
    waits(program, &[b'a'; 1000], person);
}

/// Goal: writing for a reader that has left fails as a broken pipe. Method: it leaves
/// before or after we open a pipe, or before we open a FIFO, which then cannot be opened
/// again.
#[test]
fn broken_pipe_is_told() {
    let mut bench = Bench::new();
    let (reader, writer) = io::pipe().unwrap();
    let before = output(&bench, &writer);
    drop(reader);
    let after = output(&bench, &writer);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let both_ways = File::options().read(true).write(true).open(&path).unwrap();
    let fifo = File::options().write(true).open(&path).unwrap();
    drop(both_ways);
    let fifo = output(&bench, &fifo);
    assert!(matches!(fifo.0, End::Helped { .. }));

    for mut output in [before, after, fifo] {
        let error = loop {
            match output.write(&[IoSlice::new(b"x")]).unwrap_err() {
                error if error.kind() == ErrorKind::WouldBlock => {}
                error => break error,
            }
            bench.until(WAKE, |event| event.is_readable());
        };
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}

/// Goal: a file is always ready and shares its offset with the program that opened it.
/// Method: write through ours, then through theirs; read likewise.
#[test]
fn file_shares_its_offset() {
    let bench = Bench::new();
    let mut file = tempfile::tempfile().unwrap();
    let mut output = output(&bench, &file);
    assert_eq!(write(&mut output, b"ours "), Some(5));
    file.write_all(b"theirs").unwrap();
    file.rewind().unwrap();
    let mut input = input(&bench, &file);
    assert_eq!(read(&mut input).unwrap(), b"ours theirs");
    assert_eq!(read(&mut input).unwrap(), b"");
}

/// Goal: `/dev/null` ends at once and takes everything. Method: both ways.
#[test]
fn null_device() {
    let bench = Bench::new();
    let mut both_ways = File::options();
    let null = both_ways.read(true).write(true).open("/dev/null").unwrap();
    let mut input = input(&bench, &null);
    assert_eq!(read(&mut input).unwrap(), b"");
    assert_eq!(write(&mut output(&bench, &null), b"gone"), Some(4));
}

/// Goal: a descriptor that was opened the other way reads as an end, and fails to
/// write. Method: a pipe's ends, swapped.
#[test]
fn wrong_way_round() {
    let bench = Bench::new();
    let (reader, writer) = io::pipe().unwrap();
    assert_eq!(read(&mut input(&bench, &writer)).unwrap(), b"");
    let error = output(&bench, &reader).write(&[IoSlice::new(b"x")]);
    assert_eq!(Errno::from_io_error(&error.unwrap_err()), Some(Errno::BADF));
}

/// Goal: a helper reads on demand, in order, to the end. Method: a socket as input, with
/// more bytes than one read takes; the socket is non-blocking, as another program may
/// have left it.
#[test]
fn helper_reads() {
    let mut bench = Bench::new();
    let (socket, mut other) = UnixStream::pair().unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut input = input(&bench, &socket);
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
    let _input = input(&bench, &socket);
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
    let mut output = output(&bench, &socket);
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

/// Goal: a terminal gives line by line, and Ctrl-D ends it. Method: type two
/// lines at once, read them with room for both, then type Ctrl-D.
#[test]
fn terminal_gives_lines() {
    let mut bench = Bench::new();
    let (mut typist, program) = terminal();
    let mut input = input(&bench, &program);
    assert_eq!(read(&mut input), None);
    typist.write_all(b"one\ntwo\n").unwrap();
    bench.until(SUBJECT, |event| event.is_readable());
    // The kernel may hand the lines on one by one.
    let mut lines = Vec::new();
    while lines.len() < 2 {
        match read(&mut input) {
            Some(line) => lines.push(line),
            None => drop(bench.until(SUBJECT, |event| event.is_readable())),
        }
    }
    assert_eq!(lines, [b"one\n", b"two\n"]);
    assert_eq!(read(&mut input), None);
    typist.write_all(b"\x04").unwrap();
    bench.until(SUBJECT, |event| event.is_readable());
    assert_eq!(read(&mut input).unwrap(), b"");
}
