//! Tunnels between real processes, with sockets of the test as the programs behind them.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use socket2::SockRef;

use crate::program::{A_WHILE, Launch, PATIENCE, Program};

/// The two ends of a tunnel.
struct Tunnel {
    far: Program,
    near: Program,
    /// Where plain connections come.
    entry: SocketAddr,
}

/// A target of the test, and how it is called.
fn target() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap().to_string();
    (listener, place)
}

impl Tunnel {
    fn to(target: &str) -> Self {
        let far = Launch::server(&format!("--forward {target}")).start();
        let near = Launch::client(far.port(), "--tunnel 0").start();
        let entry = SocketAddr::from(([127, 0, 0, 1], near.port()));
        Self { far, near, entry }
    }

    fn connect(&self) -> TcpStream {
        plain(TcpStream::connect(self.entry).unwrap())
    }

    fn stop(self) {
        self.near.stop().printed("");
        self.far.stop().printed("");
    }
}

/// Bounds every wait of a socket.
fn plain(socket: TcpStream) -> TcpStream {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn accept(listener: &TcpListener) -> TcpStream {
    plain(listener.accept().unwrap().0)
}

fn read_all(socket: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).unwrap();
    bytes
}

/// What comes before an error, and the error.
fn until_error(socket: &mut impl Read) -> (Vec<u8>, ErrorKind) {
    let mut bytes = Vec::new();
    let error = socket.read_to_end(&mut bytes).expect_err("no clean end");
    (bytes, error.kind())
}

fn reset(socket: TcpStream) {
    SockRef::from(&socket)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

/// A target that answers each connection with what it sends.
fn echo(listener: TcpListener) {
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = plain(socket.unwrap());
            thread::spawn(move || {
                let mut to = socket.try_clone().unwrap();
                let _ = std::io::copy(&mut socket, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
    });
}

fn large() -> Vec<u8> {
    (0..8_000_000_u32).map(|n| (n ^ n >> 9) as u8).collect()
}

/// Goal: bytes and ends go both ways, over many connections at once; afterwards nothing is left.
/// Method: an echo of 8 MB over each of 8, and of a few bytes over 100.
#[test]
fn bytes_go_both_ways() {
    let (listener, place) = target();
    echo(listener);
    let tunnel = Tunnel::to(&place);
    let entry = tunnel.entry;
    let mut threads = Vec::new();
    for index in 0..108 {
        threads.push(thread::spawn(move || {
            let sent = if index < 8 { large() } else { vec![index; 64] };
            let mut socket = plain(TcpStream::connect(entry).unwrap());
            let mut writer = socket.try_clone().unwrap();
            let copy = sent.clone();
            let writing = thread::spawn(move || {
                writer.write_all(&copy).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            assert!(read_all(&mut socket) == sent, "{index}");
            writing.join().unwrap();
        }));
    }
    for thread in threads {
        thread.join().unwrap();
    }
    tunnel
        .far
        .statistics(" 0 peers now, 108 joined, 108 complete");
    tunnel.stop();
}

/// Goal: each direction ends by itself. Method: the source ends first, then the target speaks;
/// and the other way round.
#[test]
fn a_half_closed_connection() {
    let (listener, place) = target();
    let tunnel = Tunnel::to(&place);
    for source_first in [true, false] {
        let source = tunnel.connect();
        let target = accept(&listener);
        let (mut first, mut second) = match source_first {
            true => (source, target),
            false => (target, source),
        };
        first.write_all(b"first").unwrap();
        first.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(&mut second), b"first");
        thread::sleep(A_WHILE);
        second.write_all(b"second").unwrap();
        second.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(&mut first), b"second");
    }
    tunnel.stop();
}

/// Goal: a reset arrives as a reset, behind what came before it; the logs of both ends say whose
/// connection it was. Other connections go on. Method: either program resets.
#[test]
fn a_reset_is_carried() {
    let (listener, place) = target();
    let tunnel = Tunnel::to(&place);
    let mut stays = tunnel.connect();
    let mut stays_there = accept(&listener);
    for by_target in [true, false] {
        let source = tunnel.connect();
        let name = source.local_addr().unwrap();
        let target = accept(&listener);
        let (mut one, mut other) = match by_target {
            true => (target, source),
            false => (source, target),
        };
        one.write_all(b"before").unwrap();
        let mut six = [0; 6];
        other.read_exact(&mut six).unwrap();
        one.write_all(b"more").unwrap();
        thread::sleep(A_WHILE);
        reset(one);
        let (rest, error) = until_error(&mut other);
        assert_eq!(
            (&rest[..], error),
            (&b"more"[..], ErrorKind::ConnectionReset)
        );
        let why = match by_target {
            true => "the peer gave up: target or source reset",
            false => "gave up: target or source reset",
        };
        tunnel.near.line(&format!("{name}: {why}"));
    }
    tunnel.far.line(": gave up: target or source reset");
    tunnel
        .far
        .line(": the peer gave up: target or source reset");
    stays.write_all(b"still").unwrap();
    let mut five = [0; 5];
    stays_there.read_exact(&mut five).unwrap();
    stays.shutdown(Shutdown::Write).unwrap();
    stays_there.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut stays), b"");
    tunnel.stop();
}

/// Goal: a target that refuses is told at both ends, with whose connection it was, and the source
/// is reset. The far end's log has the address; the near end, whose users may not know it, has the
/// reason alone. Method: a port on which nobody listens; a name that has no address; a path
/// without a socket.
#[test]
fn a_target_that_refuses() {
    let (listener, place) = target();
    drop(listener);
    let port = place.rsplit(':').next().unwrap().to_owned();
    for (place, why, told) in [
        (place, format!("127.0.0.1 port {port} refused"), ""),
        (
            "no.such.name.invalid:5".to_owned(),
            "cannot resolve no.such.name.invalid".to_owned(),
            ": its name is unknown",
        ),
        (
            "unix:/no/such/socket".to_owned(),
            "cannot connect to unix:/no/such/socket".to_owned(),
            ": it cannot be reached",
        ),
    ] {
        let tunnel = Tunnel::to(&place);
        let mut source = tunnel.connect();
        let name = source.local_addr().unwrap();
        let (_, error) = until_error(&mut source);
        assert_eq!(error, ErrorKind::ConnectionReset);
        let near = format!("{name}: the peer gave up: target refused{told}\n");
        tunnel.near.line(&near);
        tunnel
            .far
            .line(&format!(": gave up: target refused: {why}"));
        let ended = tunnel.far.stop();
        assert_eq!(ended.stderr.matches("gave up").count(), 1, "{ended}");
        tunnel.near.stop();
    }
}

/// Goal: a line about a peer has its address, though another took its place before the line was
/// written. Method: several sources connect again and again to a target that refuses.
#[test]
fn every_refusal_has_an_address() {
    let (listener, place) = target();
    drop(listener);
    let tunnel = Tunnel::to(&place);
    let entry = tunnel.entry;
    let sources = (0..4).map(|_| {
        thread::spawn(move || {
            for _ in 0..50 {
                until_error(&mut plain(TcpStream::connect(entry).unwrap()));
            }
        })
    });
    let sources: Vec<_> = sources.collect();
    for source in sources {
        source.join().unwrap();
    }
    for end in [tunnel.near.stop(), tunnel.far.stop()] {
        assert!(end.stderr.contains("gave up"), "{end}");
        assert!(!end.stderr.contains("a peer"), "{end}");
    }
}

/// Goal: a target that hangs ends its connection after 10 s, with its reason, and holds up no
/// other. Method: a listener whose queue is full. Where the system answers all the same, it is
/// skipped.
#[test]
fn a_target_that_hangs() {
    let (listener, place) = target();
    SockRef::from(&listener).listen(0).unwrap();
    let address: SocketAddr = place.parse().unwrap();
    // Nobody accepts them.
    let hold: Vec<_> = (0..4)
        .map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(300)))
        .collect();
    if hold.iter().all(Result::is_ok) {
        eprintln!("skipped: this system's queue is never full");
        return;
    }
    let tunnel = Tunnel::to(&place);
    let start = Instant::now();
    let mut source = tunnel.connect();
    source.write_all(b"waits").unwrap();
    let (_, error) = until_error(&mut source);
    assert_eq!(error, ErrorKind::ConnectionReset);
    assert!(start.elapsed() > Duration::from_secs(9));
    tunnel.near.line("the peer gave up: target timed out");
    tunnel.far.line("gave up: target timed out");
    tunnel.stop();
}

/// Goal: a cut reaches a program that writes while nobody reads, so that both directions are
/// full; nothing is left of it at the far end. Method: source and target write until they can no
/// more; then the near end is killed.
#[test]
fn a_cut_reaches_a_program_that_is_held_up() {
    let (listener, place) = target();
    let tunnel = Tunnel::to(&place);
    let full = |mut socket: TcpStream| {
        socket
            .set_write_timeout(Some(Duration::from_millis(700)))
            .unwrap();
        while socket.write(&[7; 65_536]).is_ok() {}
        socket
    };
    let source = tunnel.connect();
    let target = accept(&listener);
    let (source, mut target) = thread::scope(|scope| {
        let source = scope.spawn(|| full(source));
        let target = full(target);
        (source.join().unwrap(), target)
    });
    tunnel.near.signal(Signal::KILL);
    target.set_write_timeout(Some(PATIENCE)).unwrap();
    let error = target.write_all(&vec![7; 64 << 20]).unwrap_err();
    let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    assert!(kinds.contains(&error.kind()), "{error}");
    drop(source);
    tunnel
        .far
        .statistics(" 0 peers now, 1 joined, 0 complete, 1 failed");
    tunnel.far.stop();
}

/// Goal: a cut reaches both programs as an error, also the one whose own end was killed. Method:
/// kill either end in the middle of a stream.
#[test]
fn a_killed_end_is_an_error() {
    for kill_near in [true, false] {
        let (listener, place) = target();
        let tunnel = Tunnel::to(&place);
        let mut source = tunnel.connect();
        let mut target = accept(&listener);
        source.write_all(b"up").unwrap();
        target.write_all(b"down").unwrap();
        target.read_exact(&mut [0; 2]).unwrap();
        source.read_exact(&mut [0; 4]).unwrap();
        match kill_near {
            true => tunnel.near.signal(Signal::KILL),
            false => tunnel.far.signal(Signal::KILL),
        }
        for socket in [&mut source, &mut target] {
            let (rest, error) = until_error(socket);
            assert_eq!((&rest[..], error), (&b""[..], ErrorKind::ConnectionReset));
        }
    }
}

/// Goal: an end that is stopped leaves with 0, and connections that have not ended end with an
/// error at both programs. Method: stop either end.
#[test]
fn a_stopped_end_is_an_error() {
    for stop_near in [true, false] {
        let (listener, place) = target();
        let Tunnel { near, far, entry } = Tunnel::to(&place);
        let mut source = plain(TcpStream::connect(entry).unwrap());
        let mut target = accept(&listener);
        source.write_all(b"up").unwrap();
        target.read_exact(&mut [0; 2]).unwrap();
        let (stopped, other) = match stop_near {
            true => (near, far),
            false => (far, near),
        };
        stopped.stop();
        for socket in [&mut source, &mut target] {
            assert_eq!(until_error(socket).1, ErrorKind::ConnectionReset);
        }
        other.line("the peer gave up: going away");
        other.stop();
    }
}

/// Goal: the near end starts without its server, and resets connections until that comes; those
/// in the first moments cost no attempt each. Method: many connections, then the server.
#[test]
fn the_server_comes_later() {
    let (listener, place) = target();
    echo(listener);
    let (held, server) = target();
    let port = held.local_addr().unwrap().port();
    drop(held);
    let near = Launch::client(port, "--tunnel 0").start();
    let entry = SocketAddr::from(([127, 0, 0, 1], near.port()));
    for _ in 0..20 {
        let mut source = plain(TcpStream::connect(entry).unwrap());
        assert_eq!(until_error(&mut source).1, ErrorKind::ConnectionReset);
    }
    let why = format!("was reset: {} port {port} refused", &server[..9]);
    near.line(&why);
    let far = Launch::new(&format!(
        "--server --listen 127.0.0.1 --port {port} --forward {place}"
    ));
    let far = far.start();
    far.port();
    let start = Instant::now();
    loop {
        let mut source = plain(TcpStream::connect(entry).unwrap());
        let sent = source.write_all(b"hello");
        let ended = sent.and_then(|()| source.shutdown(Shutdown::Write));
        let mut heard = Vec::new();
        if ended.is_ok() && source.read_to_end(&mut heard).is_ok() {
            assert_eq!(heard, b"hello");
            break;
        }
        assert!(start.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(20));
    }
    assert!(start.elapsed() < Duration::from_secs(7));
    let ended = near.stop();
    let tries = ended.stderr.matches("refused the connection").count();
    assert!(tries < 15, "{ended}");
    far.stop();
}

/// Goal: with `--retry` connections that come before the server wait for it, and none is lost; one
/// whose source resets it meanwhile is not made. However many wait, the server sees an attempt at a
/// time. Method: connections of two kinds, a reset, and after a second the server.
#[test]
fn connections_wait_for_the_server() {
    let (listener, place) = target();
    echo(listener);
    let (held, _) = target();
    let port = held.local_addr().unwrap().port();
    drop(held);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("entry");
    let tcp = Launch::client(port, "--tunnel 0 --retry").start();
    let unix = format!("--tunnel unix:{} --retry", path.display());
    let unix = Launch::client(port, &unix).start();
    unix.line("listening on unix:");
    let entry = SocketAddr::from(([127, 0, 0, 1], tcp.port()));
    let mut sources: Vec<_> = (0..30)
        .map(|_| {
            let mut source = plain(TcpStream::connect(entry).unwrap());
            source.write_all(b"hello").unwrap();
            source.shutdown(Shutdown::Write).unwrap();
            source
        })
        .collect();
    let mut local = UnixStream::connect(&path).unwrap();
    local.set_read_timeout(Some(PATIENCE)).unwrap();
    local.write_all(b"hello").unwrap();
    local.shutdown(Shutdown::Write).unwrap();
    let gone = plain(TcpStream::connect(entry).unwrap());
    thread::sleep(A_WHILE);
    reset(gone);
    thread::sleep(Duration::from_secs(1));
    let far = Launch::new(&format!(
        "--server --listen 127.0.0.1 --port {port} --forward {place}"
    ));
    let far = far.start();
    for source in &mut sources {
        assert_eq!(read_all(source), b"hello");
    }
    let mut heard = Vec::new();
    local.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"hello");
    far.statistics(" 0 peers now, 31 joined, 31 complete");
    for near in [tcp, unix] {
        let ended = near.stop();
        let tries = ended
            .stderr
            .matches("refused the connection; trying again in 0.");
        assert!((2..12).contains(&tries.count()), "{ended}");
        ended.told_once("the server is reached again");
    }
    far.stop();
}

/// Goal: with `--retry` a server that is killed and started again is used again; connections
/// through the old one are reset, and those that came between the two are made. A near end that is
/// stopped while connections wait resets them, and leaves with 0. Method: as it says.
#[test]
fn another_server() {
    let (listener, place) = target();
    echo(listener);
    let serve = |port: u16| {
        let args = format!("--server --listen 127.0.0.1 --port {port} --forward {place}");
        Launch::new(&args).start()
    };
    let first = serve(0);
    let port = first.port();
    let near = Launch::client(port, "--tunnel localhost:0 --retry").start();
    let line = near.line("listening on ");
    let entry: SocketAddr = line.trim_end().rsplit(' ').next().unwrap().parse().unwrap();
    let connect = || plain(TcpStream::connect(entry).unwrap());
    let mut old = connect();
    old.write_all(b"old").unwrap();
    old.read_exact(&mut [0; 3]).unwrap();
    first.signal(Signal::KILL);
    assert_eq!(until_error(&mut old).1, ErrorKind::ConnectionReset);
    first.wait();
    let mut between = connect();
    between.write_all(b"between").unwrap();
    near.line("trying again in");
    let second = serve(port);
    let mut seven = [0; 7];
    between.read_exact(&mut seven).unwrap();
    assert_eq!(&seven, b"between");
    near.line("the server is reached again");
    let mut new = connect();
    new.write_all(b"new").unwrap();
    new.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut new), b"new");

    second.signal(Signal::KILL);
    second.wait();
    let mut waits = connect();
    near.lines(2, "trying again in");
    near.signal(Signal::TERM);
    assert_eq!(until_error(&mut waits).1, ErrorKind::ConnectionReset);
    near.ends_with(0);
}

/// Goal: either plain side may be a Unix socket. The near end's path is gone when it has ended; one
/// that was left behind by a killed program is replaced, and one in use is not.
#[test]
fn unix_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (entry, target) = (path("entry"), path("target"));
    let listener = UnixListener::bind(&target).unwrap();
    let far = Launch::server(&format!("--forward unix:{target}")).start();
    let args = format!("--tunnel unix:{entry}");
    let killed = Launch::client(far.port(), &args).start();
    killed.line("listening on unix:");
    Launch::client(far.port(), &args).refused(1, "--tunnel: cannot listen on unix:");
    killed.signal(Signal::KILL);
    killed.wait();
    let near = Launch::client(far.port(), &args).start();
    near.line("listening on unix:");
    let mut source = UnixStream::connect(&entry).unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
    source.write_all(&large()[..300_000]).unwrap();
    source.shutdown(Shutdown::Write).unwrap();
    let mut heard = Vec::new();
    accepted.read_to_end(&mut heard).unwrap();
    assert!(heard == large()[..300_000]);
    accepted.write_all(b"back").unwrap();
    drop(accepted);
    let mut heard = Vec::new();
    source.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"back");
    near.stop();
    assert!(!std::path::Path::new(&entry).exists());
    std::fs::write(&entry, "a file").unwrap();
    Launch::client(far.port(), &args).refused(1, "--tunnel: cannot listen on unix:");
    assert_eq!(std::fs::read(&entry).unwrap(), b"a file", "it is not ours");
    far.stop();
}

/// Goal: the ends refuse what is no end of theirs, with a word; a local port that is taken is one
/// line and code 1.
#[test]
fn no_tunnel_there() {
    let (taken, place) = target();
    let refusal = format!(
        "--tunnel: port {} is in use",
        taken.local_addr().unwrap().port()
    );
    Launch::client(9, &format!("--tunnel {place}")).refused(1, &refusal);
    let unknown = "--tunnel: cannot resolve no.such.name.invalid";
    Launch::client(9, "--tunnel no.such.name.invalid:5").refused(1, unknown);

    let echoes = Launch::server("--echo").start();
    let near = Launch::client(echoes.port(), "--tunnel 0").start();
    let entry = SocketAddr::from(([127, 0, 0, 1], near.port()));
    let mut source = plain(TcpStream::connect(entry).unwrap());
    assert_eq!(until_error(&mut source).1, ErrorKind::ConnectionReset);
    near.line("was reset: keys or service differ");
    echoes.line("refused: the hello asks for service 1, which is not offered here");
    near.stop();
    echoes.stop();

    let far = Launch::server(&format!("--forward {place}")).start();
    let client = Launch::client(far.port(), "").start();
    client.ends_with(3).told("keys or service differ");
    far.line("refused: the hello asks for service 0, which is not offered here");
    far.stop();
}

/// Goal: a target that takes nothing holds up its source, and no other connection. Method: pour
/// into one; another echoes meanwhile.
#[test]
fn a_slow_target_holds_up_its_source_alone() {
    let (listener, place) = target();
    let tunnel = Tunnel::to(&place);
    let mut source = tunnel.connect();
    let mut slow = accept(&listener);
    source
        .set_write_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let mut poured = 0;
    let block = large();
    while let Ok(count) = source.write(&block) {
        poured += count;
        assert!(poured < 200_000_000, "it is not held up");
    }
    for _ in 0..20 {
        let mut other = tunnel.connect();
        let mut there = accept(&listener);
        other.write_all(b"ping").unwrap();
        there.read_exact(&mut [0; 4]).unwrap();
    }
    let reading = thread::spawn(move || {
        let mut count = 0;
        let mut bytes = vec![0; 1 << 20];
        while count < poured {
            count += slow.read(&mut bytes).unwrap();
        }
        slow
    });
    reading.join().unwrap();
    drop(source);
}
