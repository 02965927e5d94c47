"""nginx: files over HTTP, of a known length and not; refusals, wrk, cuts."""

import os
import random
import re

from .common import (
    ENDS,
    LARGE,
    PIPES,
    Tunnel,
    all_fail,
    both,
    check,
    digest,
    each_way,
    free_port,
    holds,
    listens,
    run,
    some_read,
    until,
)

NEEDS = ["nginx", "curl", "wrk"]
ZIPPED = ["-H", "Accept-Encoding: gzip", "http://localhost/zipped/FILE"]
# How a client knows that it has all of a file.
LENGTHS = {
    "with a length": ["http://localhost/FILE"],
    "in chunks": ZIPPED,
    "until the connection ends": ["-0", *ZIPPED],
}


def check_all(place):
    server = Server(place)
    for way, tunnel in each_way(place, server, f"{place.folder}/entry"):
        name = f"nginx, {way}"
        files(server, tunnel.entry, name)
        refusals(server, tunnel.entry, name)
        if way == "tcp":
            wrk(tunnel.entry, name)
        # The far end keeps a connection for 5 s if its program has ended it, and then resets it.
        with check(f"{name}: the tunnel stops"):
            tunnel.stop()
    for killed in ENDS:
        cut(server, killed)


class Server:
    """A server of files, with a port and a Unix socket."""

    def __init__(self, place):
        self.place, self.port = place, free_port()
        self.direct = ("127.0.0.1", self.port)
        self.path = str(place.folder / "nginx.socket")
        self.files = place.folder / "files"
        self.files.mkdir()
        (self.files / "small").write_bytes(b"a small file\n" * 50)
        (self.files / "middle").write_bytes(random.Random(7).randbytes(12 << 20))
        (self.files / "large").write_bytes(random.Random(7).randbytes(LARGE))
        config = place.folder / "nginx.conf"
        config.write_text(self.config())
        place.start("nginx", "-p", place.folder, "-c", config)
        until(lambda: listens(self.direct) and listens(self.path), "nginx listens")

    def config(self):
        kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        temporary = "".join(f"{kind}_temp_path {self.place.folder}/{kind}; " for kind in kinds)
        return f"""
            daemon off; worker_processes 1; error_log stderr; pid {self.place.folder}/nginx.pid;
            {"user root;" if os.getuid() == 0 else ""}
            events {{ worker_connections 1000; }}
            http {{
                {temporary}
                access_log off;
                server {{
                    listen 127.0.0.1:{self.port}; listen unix:{self.path};
                    root {self.files};
                    client_max_body_size 1k;
                    # The length is not known before: chunks, or the end of the connection.
                    location /zipped/ {{
                        alias {self.files}/;
                        gzip on; gzip_types *; gzip_comp_level 1; gzip_http_version 1.0;
                    }}
                }}
            }}
        """


def curl(entry, *words):
    """A command that asks a server."""
    if isinstance(entry, str):
        return ["curl", "-sS", "--unix-socket", entry, *words]
    return ["curl", "-sS", "--connect-to", f"::{entry[0]}:{entry[1]}", *words]


def named(words, file):
    return [word.replace("FILE", file) for word in words]


def files(server, entry, name):
    ways = [server.direct, entry]
    for length, words in LENGTHS.items():
        with check(f"{name}: 12 MB {length}"):
            command = named(words, "middle")
            both("the file", ways, lambda way: digest(run(*curl(way, *command)).stdout))
    with check(f"{name}: 64 MB"):
        both("the file", ways, lambda way: digest(run(*curl(way, "http://localhost/large")).stdout))
    with check(f"{name}: 200 files over one connection"):
        made = both("connections", ways, lambda way: connections(way, "X: y"))
        holds(made == b"1" + b"0" * 199, f"more connections: {made}")
    with check(f"{name}: 200 files over a connection each"):
        made = both("connections", ways, lambda way: connections(way, "Connection: close"))
        holds(made == b"1" * 200, f"fewer connections: {made}")


def connections(way, header):
    """How many connections curl makes for each of 200 files."""
    words = ["-o", "/dev/null", "-w", "%{num_connects}", "-H", header]
    return run(*curl(way, *words, "http://localhost/small?[1-200]")).stdout


def refusals(server, entry, name):
    ways = [server.direct, entry]
    body = ["-T", server.files / "middle", "http://localhost/put"]
    with check(f"{name}: a part of a file, and a file that is not there"):
        part = ["-r", "1000000-1999999", "http://localhost/large"]
        both("a part", ways, lambda way: answer(way, part))
        both("nothing", ways, lambda way: answer(way, ["http://localhost/none"]))
    # The server answers before it has the body, and does not read all of it.
    with check(f"{name}: a body of 12 MB that is refused"):
        for more in [[], ["-H", "Expect:"]] * 10:
            both("a refusal", ways, lambda way: answer(way, [*more, *body]))


def answer(way, words):
    done = run(*curl(way, "-w", "%{http_code}", *words), right=None)
    return done.returncode, digest(done.stdout), done.stdout[-3:], done.stderr


def wrk(entry, name):
    for header in ["X: y", "Connection: close"]:
        for file, connections in [("small", 50), ("middle", 4)]:
            with check(f"{name}: wrk, a {file} file, {connections} connections, {header}"):
                words = ["-t2", f"-c{connections}", "-d1", "--timeout", "30", "-H", header]
                told = run("wrk", *words, f"http://{entry[0]}:{entry[1]}/{file}").stdout.decode()
                holds("Socket errors" not in told and "Non-2xx" not in told, told)
                holds(int(re.search(r"(\d+) requests in", told)[1]) > 0, told)


def cut(server, killed):
    """curl is in the middle of files, and an end is killed."""
    name = f"nginx, the {killed} is killed"
    tunnel = Tunnel(server.place, f"127.0.0.1:{server.port}")
    start = lambda words: server.place.start(*curl(tunnel.entry, *named(words, "large")), **PIPES)
    programs = {f"curl of a file {length}": start(words) for length, words in LENGTHS.items()}
    with check(f"{name}: programs transfer"):
        for program in programs.values():
            some_read(program, 1 << 20)
    tunnel.kill(killed)
    all_fail(name, programs)
