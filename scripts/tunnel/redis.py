"""Redis: pipes of commands, redis-benchmark, subscribers, a replica, cuts."""

import random
import re
import signal
import subprocess
from pathlib import Path

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
    each_way,
    end,
    free_port,
    holds,
    listens,
    run,
    same,
    some_read,
    until,
)

NEEDS = ["redis-server", "redis-cli", "redis-benchmark", "redis-check-rdb"]


def check_all(place):
    server = Server(place)
    for way, tunnel in each_way(place, server, f"{place.folder}/entry"):
        checks = Checks(server, tunnel.entry, f"redis, {way}")
        checks.data()
        checks.bench()
        checks.talk()
        if way == "tcp":
            checks.replica(tunnel)
        with check(f"redis, {way}: the tunnel stops"):
            tunnel.stop()
    for killed in ENDS:
        cut(server, killed)


class Server:
    """A server, with a port and a Unix socket."""

    def __init__(self, place, *options):
        self.place, self.port = place, free_port()
        self.direct = ("127.0.0.1", self.port)
        self.path = str(place.folder / f"redis.{self.port}")
        where = ["--bind", "127.0.0.1", "--port", self.port, "--unixsocket", self.path]
        saves = ["--save", "", "--dir", place.folder, "--repl-diskless-sync-delay", "0"]
        debug = ["--enable-debug-command", "local"]
        self.program = place.start("redis-server", *where, *saves, *debug, *options)
        until(lambda: listens(self.direct) and listens(self.path), "Redis listens")

    def ask(self, *words):
        """The answer to a command that goes past the tunnel."""
        return cli(self.direct, *words).decode().strip()

    def follows(self):
        return "master_link_status:up" in self.ask("info", "replication")


def to(entry):
    """The arguments that lead programs of Redis to a server."""
    return ["-s", entry] if isinstance(entry, str) else ["-h", entry[0], "-p", entry[1]]


def cli(entry, *words, **how):
    return run("redis-cli", *to(entry), "-e", *words, **how).stdout


def encoded(words):
    """A command as it is on the wire."""
    words = [word.encode() if isinstance(word, str) else word for word in words]
    parts = [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"*%d\r\n%b" % (len(words), b"".join(parts))


def many_commands():
    """Commands that fill strings, lists, sets and hashes, the same each time."""
    seeded = random.Random(7)
    for i in range(5000):
        value = seeded.randbytes(seeded.randrange(2000))
        yield "set", f"key{i}", value
        yield "rpush", f"list{i % 100}", value[:20], str(i)
        yield "sadd", f"set{i % 100}", value[:10]
        yield "hset", f"hash{i % 100}", str(i), value[:50]


class Checks:
    """What is checked over TCP and over Unix sockets."""

    def __init__(self, server, entry, name):
        self.server, self.name, self.entry = server, name, entry
        self.ways = [server.direct, entry]
        commands = list(map(encoded, many_commands()))
        self.commands, self.count = b"".join(commands), len(commands)

    def both(self, what, ask):
        """Asks a server without keys."""

        def fresh(way):
            self.server.ask("flushall")
            return ask(way)

        return both(what, self.ways, fresh)

    def fill(self, way):
        """Fills the server through a pipe; returns what tells all its keys and values."""
        told = cli(way, "--pipe", input=self.commands).decode()
        holds(f"errors: 0, replies: {self.count}" in told, told)
        return self.server.ask("debug", "digest")

    # ---- data

    def data(self):
        with check(f"{self.name}: {self.count} commands in one pipe"):
            holds(self.both("all keys", self.fill).strip("0"), "no keys")
        with check(f"{self.name}: all keys are read back"):
            gets = "".join(f"get key{i}\n" for i in range(5000)).encode()
            both("the values", self.ways, lambda way: digest(cli(way, input=gets)))
            both("a dump", self.ways, self.dumped)
        with check(f"{self.name}: a value of 20 MB"):
            value = random.Random(7).randbytes(20 << 20)
            self.both("the value", lambda way: self.there_and_back(way, value))

    def dumped(self, way):
        file = self.server.place.folder / "dump.rdb"
        cli(way, "--rdb", file)
        told = run("redis-check-rdb", file).stdout.decode()
        return re.findall(r"\d+ keys read|RDB looks OK", told)

    @staticmethod
    def there_and_back(way, value):
        cli(way, "-x", "set", "large", input=value)
        return digest(cli(way, "get", "large"))

    # ---- redis-benchmark

    def bench(self):
        with check(f"{self.name}: redis-benchmark, 50 clients with 16 in flight"):
            tests = "ping_mbulk,set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_100,mset"
            words = ["-n", "8000", "-t", tests, "--csv"]
            ran = self.both("the tests", lambda way: re.findall('(?m)^"[^"]*', bench(way, words)))
            holds(len(ran) > 10, f"ran {ran}")
        with check(f"{self.name}: redis-benchmark counts to 16,000"):
            holds(self.both("the counter", self.counted) == "16000", "another count")

    def counted(self, way):
        bench(way, ["-n", "16000", "incr", "counter"])
        return self.server.ask("get", "counter")

    # ---- what goes back and forth

    def talk(self):
        with check(f"{self.name}: 20 subscribers get 500 messages each, in order"):
            self.both("what they print", self.subscribed)
        with check(f"{self.name}: transactions, scripts, waiting, errors, an end"):
            words = ["multi", "set a 1", "incr a", "exec", "incr x y", "blpop nothing 0.1"]
            words += ['eval \'return redis.call("get", "a")\' 0']
            words += ["client kill type normal skipme no"]
            self.both("redis-cli", lambda way: talked(way, words))

    def subscribed(self, way, subscribers=20, messages=500):
        """What subscribers print."""
        words = ["redis-cli", *to(way), "subscribe", "channel"]
        clients = [self.server.place.start(*words) for _ in range(subscribers)]
        until(lambda: subscribers_of(self.server) == subscribers, "all subscribe")
        texts = [f"message{i}" for i in range(messages)]
        cli(way, input="".join(f"publish channel {text}\n" for text in texts).encode())
        last = f"{texts[-1]}\n"
        until(lambda: all(told(client).endswith(last) for client in clients), "the last message")
        for client in clients:
            holds(re.findall(r"message\d+", told(client)) == texts, "other messages")
            end(client)
        return told(clients[0])

    def replica(self, tunnel):
        with check(f"{self.name}: a replica follows its master"):
            self.fill(self.server.direct)
            self.server.ask("config", "resetstat")
            replica = Server(self.server.place, "--replicaof", *map(str, self.entry))
            until(replica.follows, "the replica has all")
            self.fill(self.server.direct)
            self.same_keys(replica)
        for killed in ENDS:
            with check(f"{self.name}: a replica goes on where it was, once the {killed} is back"):
                tunnel.kill(killed)
                until(lambda: not replica.follows(), "the replica notices")
                tunnel.bring_back(killed)
                self.server.ask("set", "meanwhile", killed)
                until(replica.follows, "the replica follows again")
                self.same_keys(replica)
        end(replica.program)

    def same_keys(self, replica):
        self.server.ask("wait", "1", str(PATIENCE * 1000))
        same("all keys", self.server.ask("debug", "digest"), replica.ask("debug", "digest"))
        # It got all of them once, and later what it lacked.
        holds("sync_full:1\r" in self.server.ask("info", "stats"), "the replica began anew")


def bench(way, words):
    told = run("redis-benchmark", *to(way), "-c", "50", "-P", "16", *words).stdout.decode()
    holds("rror" not in told, told)
    return told


def talked(way, words):
    done = run("redis-cli", *to(way), input="\n".join(words).encode(), right=None)
    return done.returncode, done.stdout, re.sub(rb" at .*", b"", done.stderr)


def told(client):
    return client.log.read_text()


def subscribers_of(server):
    return int(server.ask("pubsub", "numsub", "channel").split()[-1])


def counts(server, counter):
    return server.ask("get", counter) not in ("", "0")


def cut(server, killed):
    """Programs are in the middle of their work, and an end is killed.

    redis-benchmark is none of them: once a write has failed it may run for ever, without a system
    call. Version 7.0.15 did that without a tunnel, too, where a server reset its connections.
    """
    name = f"redis, the {killed} is killed"
    server.ask("flushall")
    cli(server.direct, "-x", "set", "large", input=random.Random(7).randbytes(LARGE))
    tunnel = Tunnel(server.place, f"127.0.0.1:{server.port}")
    words = ["redis-cli", *to(tunnel.entry)]
    start = lambda *more, **how: server.place.start(*words, *more, **{**PIPES, **how})
    programs = {
        "SUBSCRIBE": start("subscribe", "channel"),
        "BLPOP": start("blpop", "nothing", "0"),
        "--pipe": start("--pipe", stdin=subprocess.PIPE),
        "--rdb": start("--rdb", "-"),
        "GET": start("get", "large"),
    }
    # It keeps the value in memory until all of it is there.
    get = programs["GET"]
    with check(f"{name}: programs transfer"):
        until(lambda: resident(get) > 8 << 10, "GET")
        get.send_signal(signal.SIGSTOP)
        until(lambda: subscribers_of(server) == 1, "SUBSCRIBE")
        until(lambda: "blocked_clients:1" in server.ask("info", "clients"), "BLPOP")
        programs["--pipe"].stdin.write(encoded(["incr", "counter"]) * 10000)
        programs["--pipe"].stdin.flush()
        until(lambda: counts(server, "counter"), "--pipe")
        some_read(programs["--rdb"], 1 << 20)
    tunnel.kill(killed)
    get.send_signal(signal.SIGCONT)
    all_fail(name, programs)
    with check(f"{name}: the server has noticed all of it"):
        # The one is that which asks.
        until(lambda: "connected_clients:1\r" in server.ask("info", "clients"), "no connection")


def resident(program):
    """KiB of memory."""
    status = Path(f"/proc/{program.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1])
