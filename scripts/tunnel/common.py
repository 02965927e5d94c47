"""What all programs need: checks, processes that end, a tunnel."""

import contextlib
import glob
import hashlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SEALWIRE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "debug/sealwire"
# No single command or wait takes longer, not even on a machine that does other things, too.
PATIENCE = 60
# More than all buffers between two programs hold. So a transfer of this size that is not read
# stays in the middle.
LARGE = 64 << 20
PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
ENDS = ["near end", "far end"]
FAILED = []


# ---- checks


class Missed(Exception):
    """What a check wanted and did not get."""


@contextlib.contextmanager
def check(what):
    """A check: a line that says whether what is inside has held."""
    began = time.monotonic()
    try:
        yield
    except Exception as missed:
        FAILED.append(what)
        print(f"FAILED  {what}: {missed!r}", flush=True)
    else:
        print(f"ok  {what} ({time.monotonic() - began:.1f} s)", flush=True)


def holds(right, what):
    if not right:
        raise Missed(what)


def same(what, direct, through):
    told = f"{what}: {direct!r:.500} without the tunnel, {through!r:.500} through it"
    holds(direct == through, told)


def both(what, ways, ask):
    """Asks with and without the tunnel; returns the answer, which must be the same."""
    direct, through = map(ask, ways)
    same(what, direct, through)
    return through


def until(true, what):
    """Waits until something is so."""
    end = time.monotonic() + PATIENCE
    while not true():
        holds(time.monotonic() < end, f"did not happen: {what}")
        time.sleep(0.01)


def digest(data):
    return hashlib.sha256(data).hexdigest()


# ---- processes


def find(tool):
    """Where a program is. Debian has some where PATH does not lead; the newest is wanted."""
    folders = glob.glob("/usr/lib/postgresql/*/bin")
    folders.sort(key=lambda folder: int(re.search(r"/(\d+)/", folder)[1]), reverse=True)
    return shutil.which(tool, path=os.pathsep.join([*folders, os.environ["PATH"], "/usr/sbin"]))


def command_of(words):
    return [find(words[0]) or words[0], *map(str, words[1:])]


def run(*words, env=None, right=(0,), **how):
    """Runs a program, which must leave with a right exit code; returns what it did."""
    done = subprocess.run(
        command_of(words),
        env={**os.environ, **(env or {})},
        capture_output=True,
        timeout=PATIENCE,
        check=False,
        **how,
    )
    if right and done.returncode not in right:
        told = (done.stderr[-1000:] + done.stdout[-200:]).decode(errors="replace")
        raise Missed(f"exit code {done.returncode}: {' '.join(map(str, words))[:200]}: {told}")
    return done


class Place:
    """A folder, and programs that end before it goes."""

    def __init__(self, folder, stack):
        self.folder, self.stack = folder, stack
        # Servers that refuse to be root get there, too.
        folder.chmod(0o711)
        self.keys = folder / "keys"
        run(SEALWIRE, "keygen", self.keys)

    def start(self, *words, env=None, stop=signal.SIGTERM, **how):
        """Starts a program in the background, with its output in a file unless told otherwise."""
        path = self.folder / f"log.{len(list(self.folder.glob('log.*')))}"
        with open(path, "wb") as log:
            how = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **how}
            env = {**os.environ, **(env or {})}
            program = subprocess.Popen(command_of(words), env=env, **how)
        program.log = path
        self.stack.callback(end, program, stop)
        return program


def end(program, stop=signal.SIGTERM):
    """Ends a program of ours, if it still runs."""
    for how in [stop, signal.SIGKILL]:
        if program.poll() is None:
            program.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(10)


def some_read(program, size):
    """Waits until a program has written so much to its pipe, and leaves the rest there."""
    while size > 0:
        part = os.read(program.stdout.fileno(), min(size, 1 << 16))
        holds(part, "it ended before the cut")
        size -= len(part)


def all_fail(name, programs):
    """Programs that were in the middle of a transfer must say so."""
    for what, program in programs.items():
        with check(f"{name}: {what} fails"):
            told = program.communicate(timeout=PATIENCE)
            holds(program.returncode != 0, f"it took a cut for an end, and said {told!r:.500}")


# ---- servers


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(place):
    """Whether a server takes connections: at an address, or at the path of a socket."""
    family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET
    with socket.socket(family) as probe:
        return probe.connect_ex(place) == 0


def unprivileged():
    """User and group of a server that refuses to be root."""
    if os.getuid() != 0:
        return os.getuid(), os.getgid()
    for name in ["postgres", "nobody"]:
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return user.pw_uid, user.pw_gid
    raise Missed("there is no user postgres or nobody")


# ---- tunnels


class Tunnel:
    """Both ends of a tunnel to `target`, which programs enter at `entry`."""

    def __init__(self, place, target, entry="0"):
        self.place, self.target = place, target
        self.far = self.start_far(0)
        self.port = self.listening(self.far)[1]
        self.near = self.start_near(entry)
        self.entry = self.listening(self.near)

    def start_far(self, port):
        listen = ["--server", "--listen", "127.0.0.1", "--port", port]
        return self.start(*listen, "--forward", self.target)

    def start_near(self, entry):
        return self.start("--client", "127.0.0.1", "--port", self.port, "--tunnel", entry)

    def start(self, *words):
        # What is left of it in the end has had its check, and need not say goodbye.
        kill = signal.SIGKILL
        return self.place.start(SEALWIRE, *words, "--keys", self.place.keys, stop=kill)

    @staticmethod
    def listening(program):
        """The address, or the path of the socket."""
        found = lambda: re.search(r"listening on (\S+)", program.log.read_text())
        until(found, "sealwire listens")
        place = found()[1]
        if place.startswith("unix:"):
            return place.removeprefix("unix:")
        return "127.0.0.1", int(place.rpartition(":")[2])

    def kill(self, which):
        program = dict(zip(ENDS, [self.near, self.far]))[which]
        program.kill()
        program.wait()

    def bring_back(self, which):
        """Starts an end that was killed, where it was."""
        if which == "near end":
            self.near = self.start_near(self.entry[1])
            self.listening(self.near)
        else:
            self.far = self.start_far(self.port)
            self.listening(self.far)

    def is_quiet(self):
        """No connection has failed: programs have ended all of theirs properly."""
        for program in [self.near, self.far]:
            failed = re.findall("(?:WARN|ERROR) .*", program.log.read_text())
            holds(not failed, f"sealwire said: {failed[:3]}")

    def stop(self):
        """Stops both ends, which must not have failed."""
        for program in [self.near, self.far]:
            program.terminate()
            holds(program.wait(PATIENCE) == 0, f"sealwire left: {program.log.read_text()[-500:]}")


def each_way(place, server, entry):
    """A tunnel over TCP, and one over Unix sockets, which programs enter at the path `entry`."""
    yield "tcp", Tunnel(place, f"127.0.0.1:{server.port}")
    yield "unix", Tunnel(place, f"unix:{server.path}", f"unix:{entry}")
