"""curl, where only the end of the connection says that a file is whole: so did HTTP/1.0. Other
programs know by themselves how much is to come, and would notice a cut behind any tunnel.
"""

import http.server
import random
import threading
import time

from .common import (
    ENDS,
    LARGE,
    PATIENCE,
    PIPES,
    Tunnel,
    all_fail,
    both,
    check,
    digest,
    holds,
    run,
    same,
    some_read,
    until,
)

NEEDS = ["curl"]
FILES = {"/large": random.Random(7).randbytes(LARGE), "/some": random.Random(7).randbytes(300_000)}


def check_all(place):
    server = Server(place)
    tunnel = Tunnel(place, f"127.0.0.1:{server.port}")
    with check("curl: 64 MB until the connection ends"):
        ways = [("127.0.0.1", server.port), tunnel.entry]
        came = both("the file", ways, lambda way: digest(run(*curl(way, "/large")).stdout))
        same("the file", digest(FILES["/large"]), came)
    with check("curl: no connection has failed, and the tunnel stops"):
        tunnel.is_quiet()
        tunnel.stop()
    for killed in ENDS:
        cut(server, killed)
        cut_at_any_time(server, killed)


class Server:
    """Sends files without their length, and counts connections that failed."""

    def __init__(self, place):
        self.place, self.failed = place, 0
        noted = self

        class Files(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                try:
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(FILES[self.path])
                except ConnectionError:
                    noted.failed += 1

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            # It waits for no thread in the end.
            block_on_close = False
            request_queue_size = 100

            def handle_error(self, *_):
                pass

        server = Quiet(("127.0.0.1", 0), Files)
        self.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place.stack.callback(server.shutdown)


def curl(entry, file):
    return ["curl", "-sS", f"http://{entry[0]}:{entry[1]}{file}"]


def cut(server, killed):
    """A download is in the middle, and an end is killed."""
    name = f"curl, the {killed} is killed"
    tunnel = Tunnel(server.place, f"127.0.0.1:{server.port}")
    program = server.place.start(*curl(tunnel.entry, "/large"), **PIPES)
    failed = server.failed
    with check(f"{name}: it downloads"):
        some_read(program, 1 << 20)
    tunnel.kill(killed)
    all_fail(name, {"a download": program})
    with check(f"{name}: the server has noticed it"):
        until(lambda: server.failed > failed, "an error of the server")


def cut_at_any_time(server, killed):
    """An end is killed before, in or behind downloads: none of them takes a part for the whole."""
    with check(f"curl, the {killed} is killed at any time: no part is taken for the whole"):
        for _ in range(8):
            tunnel = Tunnel(server.place, f"127.0.0.1:{server.port}")
            start = lambda: server.place.start(*curl(tunnel.entry, "/some"), **PIPES)
            programs = [start() for _ in range(8)]
            time.sleep(random.uniform(0, 0.1))
            tunnel.kill(killed)
            for program in programs:
                told, _ = program.communicate(timeout=PATIENCE)
                whole = told == FILES["/some"]
                holds(program.returncode != 0 or whole, f"curl took {len(told)} B for all")
