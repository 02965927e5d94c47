//! Runs the program: starts it, talks to it, waits for what it prints, and ends it, each
//! within a bound. Peers that are sockets of the test are in [`crate::raw_peer`].

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take: far more than it does, even 100 MB in a debug build
/// on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// How long to watch for what must not happen.
pub(crate) const A_WHILE: Duration = Duration::from_millis(300);

/// The keys of every program here, unless a test gives others.
pub(crate) const CONFKEY: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";
/// See [`CONFKEY`].
pub(crate) const AUTHKEY: &str = "5eed00015eed00015eed00015eed00015eed00015eed00015eed00015eed0001";
/// Parts of these keys, which no message may show.
const MARKS: [&str; 3] = ["c0ffee", "C0FFEE", "5eed0001"];

/// The arguments of a server on a port of the system's choice.
pub(crate) const SERVER: &str = "--server --listen 127.0.0.1 --port 0";
/// Those of its client, but for the port.
pub(crate) const CLIENT: &str = "--client 127.0.0.1 --port";

/// Another user than root, and that user's group.
pub(crate) const NOBODY: u32 = 65534;

/// A program that a test may start.
#[derive(Debug)]
pub(crate) struct Launch {
    command: Command,
}

/// A program that runs. Dropped, it is killed.
pub(crate) struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Capture,
    stderr: Capture,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; -1 if a signal killed it.
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// What a stream has given so far. A thread reads it.
#[derive(Clone, Default)]
struct Capture(Arc<(Mutex<Captured>, Condvar)>);

/// By default, of a stream that is missing.
#[derive(Default)]
struct Captured {
    bytes: Vec<u8>,
    open: bool,
}

impl Launch {
    /// The program with `args`, which are separated by spaces, its keys in the
    /// environment and a pipe as stdin.
    pub(crate) fn new(args: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealwire"));
        command.args(args.split_whitespace());
        Self::of(command)
    }

    /// The program with `args`, started by a shell. In its `script`, `"$@"` stands for
    /// the program, so that a test can close descriptors and ignore signals.
    pub(crate) fn by_shell(script: &str, args: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_sealwire")]);
        command.args(args.split_whitespace());
        Self::of(command)
    }

    /// Another program, with the same keys and pipes.
    pub(crate) fn program(name: &str) -> Self {
        Self::of(Command::new(name))
    }

    fn of(mut command: Command) -> Self {
        command
            .env("SEALWIRE_CONFKEY", CONFKEY)
            .env("SEALWIRE_AUTHKEY", AUTHKEY)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self { command }
    }

    /// A server on a port of the system's choice.
    pub(crate) fn server(args: &str) -> Self {
        Self::new(&format!("{SERVER} {args}"))
    }

    /// A server that receives once, because its input is `/dev/null`.
    pub(crate) fn receiver(args: &str) -> Self {
        Self::server(args).empty_input()
    }

    /// A client of the server on `port`.
    pub(crate) fn client(port: u16, args: &str) -> Self {
        Self::new(&format!("{CLIENT} {port} {args}"))
    }

    /// One more argument, which may hold spaces.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Other keys in the environment.
    pub(crate) fn keys(mut self, confkey: &str, authkey: &str) -> Self {
        self.command
            .env("SEALWIRE_CONFKEY", confkey)
            .env("SEALWIRE_AUTHKEY", authkey);
        self
    }

    pub(crate) fn no_keys(mut self) -> Self {
        self.command
            .env_remove("SEALWIRE_CONFKEY")
            .env_remove("SEALWIRE_AUTHKEY");
        self
    }

    /// One more variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Takes the keys from this file instead of the environment.
    pub(crate) fn key_file(self, path: &Path) -> Self {
        self.no_keys().arg("--keys").arg(path)
    }

    /// What `SEALWIRE_KERNEL` holds; `None` removes it.
    pub(crate) fn kernel(mut self, name: Option<&OsStr>) -> Self {
        match name {
            Some(name) => self.command.env("SEALWIRE_KERNEL", name),
            None => self.command.env_remove("SEALWIRE_KERNEL"),
        };
        self
    }

    /// Runs as [`NOBODY`], in the group of that name; only root may do this.
    pub(crate) fn by_nobody(mut self) -> Self {
        self.command.uid(NOBODY).gid(NOBODY);
        self
    }

    /// Whether it can be started and ends with 0.
    pub(crate) fn succeeds(mut self) -> bool {
        let child = self.command.spawn();
        child.is_ok_and(|mut child| child.wait().is_ok_and(|status| status.success()))
    }

    /// Whether [`NOBODY`] can run the program; prints a notice if not.
    pub(crate) fn nobody_can_run() -> bool {
        let works = Self::new("--version").by_nobody().succeeds();
        if !works {
            eprintln!("skipped: no other user can run the program");
        }
        works
    }

    /// Input that has ended before it begins.
    pub(crate) fn empty_input(self) -> Self {
        self.stdin(Stdio::null())
    }

    pub(crate) fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    /// Where its output goes. Only our own pipe is captured.
    pub(crate) fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self
    }

    /// Where its messages go. Only our own pipe is captured.
    pub(crate) fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.command.stderr(stderr);
        self
    }

    pub(crate) fn start(mut self) -> Program {
        let mut child = self.command.spawn().expect("the program starts");
        Program {
            stdin: child.stdin.take(),
            stdout: child.stdout.take().map(Capture::of).unwrap_or_default(),
            stderr: child.stderr.take().map(Capture::of).unwrap_or_default(),
            child,
        }
    }

    /// Starts it without input, and waits for its end.
    pub(crate) fn run(self) -> Ended {
        self.empty_input().start().wait()
    }

    /// As [`run`](Self::run), and asserts that it is refused with `code` and `text`.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, text: &str) -> Ended {
        self.run().refused(code, text)
    }
}

impl Program {
    /// The port that a server says it listens on.
    pub(crate) fn port(&self) -> u16 {
        let line = self.line("listening on ");
        let port = line.rsplit(':').next().unwrap();
        // Behind it, JSON has the end of a text and of an object.
        let port = port.trim_end_matches(|c: char| !c.is_ascii_digit());
        port.parse().unwrap_or_else(|_| panic!("no port in {line}"))
    }

    /// Gives it input. It may have ended already.
    pub(crate) fn say(&mut self, text: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().expect("a pipe that is open");
        let _ = stdin.write_all(text.as_ref());
    }

    /// Ends its input.
    pub(crate) fn end_input(&mut self) {
        drop(self.take_input());
    }

    /// Its input, which ends when it is dropped.
    pub(crate) fn take_input(&mut self) -> ChildStdin {
        self.stdin.take().expect("a pipe that is open")
    }

    /// Gives it input and the end of that, without waiting.
    pub(crate) fn pour(&mut self, bytes: impl AsRef<[u8]> + Send + 'static) {
        let mut input = self.take_input();
        // If the program leaves early, its own assertions say so.
        thread::spawn(move || input.write_all(bytes.as_ref()));
    }

    /// Gives it the rest of its input, and waits until it has ended with 0.
    #[track_caller]
    pub(crate) fn finish(mut self, text: impl AsRef<[u8]>) -> Ended {
        self.say(text);
        self.end_input();
        self.ends_with(0)
    }

    /// Waits until stdout is exactly `expected`.
    #[track_caller]
    pub(crate) fn prints(&self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        let found = self.stdout.until(|bytes| bytes.len() >= expected.len());
        if found != expected {
            let expected = String::from_utf8_lossy(expected);
            panic!("stdout is not {expected:?}; {}", self.printed());
        }
    }

    /// Waits until stdout is exactly `expected`, or is no more; returns whether it is.
    pub(crate) fn prints_or_ends(&self, expected: &str) -> bool {
        let enough = |bytes: &[u8]| bytes.len() >= expected.len();
        self.stdout.until(enough) == expected.as_bytes()
    }

    /// Waits until stdout has at least `len` bytes.
    #[track_caller]
    pub(crate) fn prints_some(&self, len: usize) {
        let found = self.stdout.until(|bytes| bytes.len() >= len);
        assert!(found.len() >= len, "{}", self.printed());
    }

    /// Waits until a line on stderr contains `text`, and returns that line.
    #[track_caller]
    pub(crate) fn line(&self, text: &str) -> String {
        self.lines(1, text).swap_remove(0)
    }

    /// Waits until stderr has at least `count` lines that contain `text`, and returns them.
    #[track_caller]
    pub(crate) fn lines(&self, count: usize, text: &str) -> Vec<String> {
        let matching = |bytes: &[u8]| -> Vec<String> {
            let all = String::from_utf8_lossy(bytes);
            let lines = all.split_inclusive('\n');
            let found = lines.filter(|line| line.ends_with('\n') && line.contains(text));
            found.map(str::to_owned).collect()
        };
        let enough = |bytes: &[u8]| matching(bytes).len() >= count;
        let found = matching(&self.stderr.until(enough));
        if found.len() < count {
            panic!("not {count} lines with {text:?}; {}", self.printed());
        }
        found
    }

    /// Asks for statistics until a line of them contains `text`.
    #[track_caller]
    pub(crate) fn statistics(&self, text: &str) {
        for asked in 1..=600 {
            self.signal(Signal::USR1);
            let lines = self.lines(asked, "peers now");
            if lines.iter().any(|line| line.contains(text)) {
                return;
            }
            sleep(Duration::from_millis(50));
        }
        panic!("statistics never show {text:?}; {}", self.printed());
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.id(), signal).expect("it runs");
    }

    pub(crate) fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it has ended. Input that was not ended stays open meanwhile.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Ended {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > PATIENCE {
                panic!("it does not end; {}", self.printed());
            }
            thread::sleep(Duration::from_millis(5));
        };
        let all = |capture: &Capture| capture.until(|_| false);
        Ended {
            code: status.code().unwrap_or(-1),
            stdout: all(&self.stdout),
            stderr: String::from_utf8_lossy(&all(&self.stderr)).into_owned(),
        }
    }

    /// Waits until it has ended with `code`.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Ended {
        let ended = self.wait();
        assert_eq!(ended.code, code, "{ended}");
        ended
    }

    /// Stops a server that serves, and waits until it has ended with 0.
    #[track_caller]
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.ends_with(0)
    }

    /// All that it has printed, to explain why a test failed.
    fn printed(&self) -> String {
        let bytes = |capture: &Capture| capture.0.0.lock().unwrap().bytes.clone();
        shown(&bytes(&self.stderr), &bytes(&self.stdout))
    }
}

/// The start of what a program has printed.
fn shown(stderr: &[u8], stdout: &[u8]) -> String {
    let start =
        |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]).into_owned();
    format!("stderr:\n{}\nstdout:\n{}", start(stderr), start(stdout))
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail if it has ended, as it should have.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The only line on stderr, apart from those that say that the program works.
    #[track_caller]
    pub(crate) fn only_line(&self) -> &str {
        let usual = ["connected to ", "listening on "];
        let told = |line: &&str| !usual.iter().any(|usual| line.contains(usual));
        let lines: Vec<_> = self.stderr.lines().filter(told).collect();
        assert_eq!(lines.len(), 1, "one line is wanted: {self}");
        lines[0]
    }

    /// Asserts the exit code, that the only line contains `text`, and that no key is shown.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, text: &str) -> Self {
        assert!(self.only_line().contains(text), "{text:?}: {self}");
        assert_eq!(self.code, code, "{self}");
        assert!(self.stdout.is_empty(), "{self}");
        let shown = MARKS.iter().find(|mark| self.stderr.contains(**mark));
        assert_eq!(shown, None, "a key is shown: {self}");
        self
    }

    /// Asserts that stderr has `text`.
    #[track_caller]
    pub(crate) fn told(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?}: {self}");
        self
    }

    /// Asserts that exactly one line on stderr has `text`.
    #[track_caller]
    pub(crate) fn told_once(self, text: &str) -> Self {
        let lines = self.stderr.lines().filter(|line| line.contains(text));
        assert_eq!(lines.count(), 1, "{text:?}: {self}");
        self
    }

    /// Asserts that stdout is exactly `expected`.
    #[track_caller]
    pub(crate) fn printed(self, expected: impl AsRef<[u8]>) -> Self {
        let equal = self.stdout == expected.as_ref();
        let wanted = expected.as_ref().len();
        assert!(
            equal,
            "stdout is not the {wanted} bytes that are wanted: {self}"
        );
        self
    }
}

/// The bytes that hex digits stand for.
pub(crate) fn from_hex(digits: &str) -> Vec<u8> {
    let pairs = (0..digits.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let printed = shown(self.stderr.as_bytes(), &self.stdout);
        write!(f, "code {}, {printed}", self.code)
    }
}

impl Capture {
    fn of(mut stream: impl Read + Send + 'static) -> Self {
        let capture = Self::default();
        capture.0.0.lock().unwrap().open = true;
        let theirs = capture.clone();
        thread::spawn(move || {
            let mut block = vec![0; 1 << 16];
            loop {
                let count = stream.read(&mut block).unwrap_or(0);
                let (captured, changed) = &*theirs.0;
                let mut captured = captured.lock().unwrap();
                captured.bytes.extend_from_slice(&block[..count]);
                captured.open = count > 0;
                changed.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        capture
    }

    /// Waits until `enough` holds, the stream ends, or [`PATIENCE`] does. Returns what
    /// came.
    fn until(&self, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let (captured, changed) = &*self.0;
        let captured = captured.lock().unwrap();
        let (captured, _) = changed
            .wait_timeout_while(captured, PATIENCE, |captured| {
                captured.open && !enough(&captured.bytes)
            })
            .unwrap();
        captured.bytes.clone()
    }
}
