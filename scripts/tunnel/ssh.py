"""OpenSSH: commands, their input, output and exit codes; scp, cuts."""

import contextlib
import os
import random

from .common import (
    ENDS,
    LARGE,
    PIPES,
    Tunnel,
    all_fail,
    both,
    check,
    digest,
    free_port,
    listens,
    run,
    same,
    some_read,
    until,
)

NEEDS = ["sshd", "ssh", "scp", "ssh-keygen"]


def check_all(place):
    folder = place.folder
    for key in ["host", "user"]:
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key)
    port = daemon(place)
    direct = ("127.0.0.1", port)
    if run("ssh", *options(place, direct), direct[0], "true", right=None).returncode != 0:
        print("==> skipped: sshd does not let this user in", flush=True)
        return
    tunnel = Tunnel(place, f"127.0.0.1:{port}")
    large = folder / "large"
    large.write_bytes(random.Random(7).randbytes(LARGE))
    commands(place, [direct, tunnel.entry], large)
    with check("ssh: no connection has failed, and the tunnel stops"):
        tunnel.is_quiet()
        tunnel.stop()
    for killed in ENDS:
        cut(place, port, large, killed)


def daemon(place):
    """Starts a server for the user that runs this; returns its port."""
    folder, port = place.folder, free_port()
    if os.getuid() == 0:
        # Debian's service makes it.
        with contextlib.suppress(FileExistsError):
            os.mkdir("/run/sshd", 0o755)
            place.stack.callback(os.rmdir, "/run/sshd")
    config = folder / "sshd_config"
    config.write_text(f"""
        ListenAddress 127.0.0.1:{port}
        HostKey {folder}/host
        AuthorizedKeysFile {folder}/user.pub
        PidFile none
        StrictModes no
        UsePAM no
        PermitRootLogin prohibit-password
        Subsystem sftp internal-sftp
    """)
    place.start("sshd", "-D", "-e", "-f", config)
    until(lambda: listens(("127.0.0.1", port)), "sshd listens")
    return port


def options(place, entry):
    """What leads ssh and scp to a server, whatever the user's own configuration says."""
    known = ["StrictHostKeyChecking=no", f"UserKnownHostsFile={place.folder}/known"]
    settings = [*known, f"Port={entry[1]}", "LogLevel=ERROR", "BatchMode=yes"]
    settings = [word for setting in settings for word in ["-o", setting]]
    return ["-F", "none", "-i", place.folder / "user", *settings]


def commands(place, ways, large):
    def remote(way, command, **how):
        done = run("ssh", *options(place, way), way[0], command, right=None, **how)
        return done.returncode, done.stdout, done.stderr

    with check("ssh: a file of 64 MB as output, and as input"):
        out = both("a file", ways, lambda way: digest(remote(way, f"cat {large}")[1]))
        with open(large, "rb") as file:
            came = remote(ways[1], "sha256sum", stdin=file)[1].split()[0].decode()
        same("a file", digest(large.read_bytes()), out)
        same("a file", out, came)
    with check("ssh: output, errors and exit code of a command"):
        for _ in range(5):
            both("a command", ways, lambda way: remote(way, "echo out; echo err >&2; exit 7"))
    with check("ssh: scp"):
        copied = place.folder / "copied"
        run("scp", "-q", *options(place, ways[1]), f"{ways[1][0]}:{large}", copied)
        same("the file", digest(large.read_bytes()), digest(copied.read_bytes()))


def cut(place, port, large, killed):
    """Commands are in the middle of their work, and an end is killed."""
    name = f"ssh, the {killed} is killed"
    tunnel = Tunnel(place, f"127.0.0.1:{port}")
    words = ["ssh", *options(place, tunnel.entry), tunnel.entry[0]]
    programs = {
        "a long output": place.start(*words, f"cat {large}", **PIPES),
        "a silent command": place.start(*words, "echo; exec sleep 600", **PIPES),
    }
    with check(f"{name}: programs transfer"):
        some_read(programs["a long output"], 1 << 20)
        some_read(programs["a silent command"], 1)
    tunnel.kill(killed)
    all_fail(name, programs)
