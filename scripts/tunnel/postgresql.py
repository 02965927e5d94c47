"""PostgreSQL: pgbench, psql, dumps, backups; queries that are cancelled, errors, cuts."""

import os
import re
import shutil
import signal
import subprocess

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
    free_port,
    holds,
    run,
    same,
    some_read,
    unprivileged,
    until,
)

NEEDS = [
    *["initdb", "postgres", "psql", "pgbench"],
    *["pg_dump", "pg_restore", "pg_basebackup", "pg_verifybackup"],
]
ROWS = "select i, repeat(md5(i::text), 8) from generate_series(1, {}) i"
MB_11 = ROWS.format(40000)


def check_all(place):
    server = Server(place)
    folder = place.folder / "entry"
    folder.mkdir()
    for way, tunnel in each_way(place, server, f"{folder}/.s.PGSQL.5432"):
        checks = Checks(server, tunnel.entry, f"postgresql, {way}")
        checks.bench()
        checks.data()
        checks.ends()
        with check(f"postgresql, {way}: no connection has failed"):
            tunnel.is_quiet()
        if way == "tcp":
            checks.backup()
        with check(f"postgresql, {way}: the tunnel stops"):
            tunnel.stop()
    for killed in ENDS:
        cut(server, killed)


class Server:
    """A server, with a port and a Unix socket."""

    def __init__(self, place):
        self.place, self.port = place, free_port()
        owner = unprivileged()
        folder = place.folder / "postgresql"
        folder.mkdir()
        os.chown(folder, *owner)
        how = {"cwd": folder}
        if os.getuid() == 0:
            how.update(user=owner[0], group=owner[1], extra_groups=[])
        self.path = f"{folder}/.s.PGSQL.{self.port}"
        self.direct = Way(("127.0.0.1", self.port), "postgres")
        options = ["--no-sync", "--no-locale", "--encoding=UTF8", "--auth=trust", "-U", "postgres"]
        run("initdb", *options, "-D", folder / "data", **how)
        options = ["-F", "-D", folder / "data", "-h", "127.0.0.1", "-p", self.port, "-k", folder]
        # Otherwise a query that sleeps does not notice that its client has gone.
        options += ["-c", "client_connection_check_interval=100"]
        # SIGINT stops it fast.
        place.start("postgres", *options, stop=signal.SIGINT, **how)
        until(self.is_ready, "PostgreSQL is ready")

    def is_ready(self):
        return run("psql", "-c", "", env=self.direct.env, right=None).returncode == 0

    def ask(self, query, database="postgres"):
        """The answer to a question that goes past the tunnel."""
        return Way(self.direct.entry, database).psql(query).decode().strip()

    def connections(self):
        """How many connections it has besides the one that asks."""
        clients = "backend_type = 'client backend' and pid <> pg_backend_pid()"
        return int(self.ask(f"select count(*) from pg_stat_activity where {clients}"))

    def forgets(self):
        until(lambda: self.connections() == 0, "the server has no connection")


class Way:
    """A way to a server, and a database there."""

    def __init__(self, entry, database):
        self.entry, self.database = entry, database
        host, port = (os.path.dirname(entry), 5432) if isinstance(entry, str) else entry
        self.env = {"PGHOST": host, "PGPORT": str(port), "PGDATABASE": database}
        self.env |= {"PGUSER": "postgres", "PGCONNECT_TIMEOUT": str(PATIENCE)}

    def run(self, *words, **how):
        return run(*words, env=self.env, **how).stdout

    def psql(self, query, **how):
        return self.run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", query, **how)

    def processed(self, *words):
        """How many transactions pgbench has done, and how many have failed."""
        # With the same seed the rows are the same in the end, in whatever order they change.
        told = self.run("pgbench", "-n", "--random-seed=7", *words).decode()
        failed = re.search(r"failed transactions: (\d+)", told)
        return re.search(r"actually processed: (.*)", told)[1], failed and failed[1]

    def dump(self):
        """What the database has, without what protects a newer version's dump: a random word."""
        return re.sub(rb"(?m)^\\(un)?restrict .*$", b"", self.run("pg_dump"))

    def errors(self, query):
        """How a query fails, without the server's address."""
        done = run("psql", "-XAtq", "-c", query, env=self.env, right=None)
        told = re.sub(r"connection to server .* failed", "connection failed", done.stderr.decode())
        return done.returncode, told


class Checks:
    """What is checked over TCP and over Unix sockets, in a database for each way."""

    def __init__(self, server, entry, name):
        self.server, self.name, self.place = server, name, server.place
        for database in ["direct", "through"]:
            server.ask(f"drop database if exists {database}")
            server.ask(f"create database {database}")
        self.direct = Way(server.direct.entry, "direct")
        self.through = Way(entry, "through")

    def both(self, what, ask):
        return both(what, [self.direct, self.through], ask)

    def past(self, way):
        """The database of `way`, past the tunnel."""
        return Way(self.server.direct.entry, way.database)

    # ---- pgbench

    def bench(self):
        with check(f"{self.name}: pgbench -i"):
            for way in [self.direct, self.through]:
                way.run("pgbench", "-i", "-q")
            self.same_accounts()
        with check(f"{self.name}: pgbench, 8 clients with 50 transactions each"):
            self.same_processed("-c", "8", "-j", "2", "-t", "50")
            self.same_accounts()
            self.right_sums()
        with check(f"{self.name}: pgbench, a connection for each transaction"):
            self.same_processed("-C", "-S", "-c", "4", "-j", "2", "-t", "25")
        with check(f"{self.name}: pgbench, prepared statements"):
            self.same_processed("-M", "prepared", "-c", "4", "-j", "2", "-t", "50")
            self.same_accounts()
        with check(f"{self.name}: pgbench, 50 queries at once"):
            self.pipeline()

    def same_processed(self, *words):
        self.both("transactions", lambda way: way.processed(*words))

    def same_accounts(self):
        query = "select aid, abalance from pgbench_accounts order by aid"
        self.both("the accounts", lambda way: digest(self.past(way).psql(query)))

    def right_sums(self):
        queries = ["select sum(delta) from pgbench_history"]
        for table in ["accounts", "branches", "tellers"]:
            queries.append(f"select sum({table[0]}balance) from pgbench_{table}")
        sums = [self.server.ask(query, "through") for query in queries]
        count = self.server.ask("select count(*) from pgbench_history", "through")
        holds(count == "400" and len(set(sums)) == 1, f"rows {count}, sums {sums}")

    def pipeline(self):
        script = self.place.folder / "pipeline.sql"
        inserts = "insert into marks values (:client_id);\n" * 50
        script.write_text(f"\\startpipeline\n{inserts}\\endpipeline\n")
        self.both("a table", lambda way: way.psql("create table marks (who int)"))
        self.same_processed("-M", "extended", "-c", "4", "-j", "2", "-t", "5", "-f", script)
        count = "select who, count(*) from marks group by who order by who"
        self.both("the rows", lambda way: self.past(way).psql(count))

    # ---- data

    def data(self):
        with check(f"{self.name}: a query with a result of 11 MB"):
            self.both("the result", lambda way: digest(way.psql(MB_11)))
        with check(f"{self.name}: COPY in and out, 11 MB"):
            data = self.direct.psql(f"copy ({MB_11}) to stdout")
            copied = self.both("what was copied", lambda way: self.copied(way, data))
            same("what was copied", digest(data), copied[0])
        with check(f"{self.name}: pg_dump, and pg_restore with 3 connections"):
            for way in [self.direct, self.through]:
                self.restore(way)

    @staticmethod
    def copied(way, data):
        way.psql("create table copied (number int, value text)")
        way.psql("copy copied from stdin", input=data)
        out = way.psql("copy copied to stdout")
        return digest(out), digest(way.psql("copy copied to stdout (format binary)"))

    def restore(self, way):
        file, restored = self.place.folder / "dump", f"restored_{way.database}"
        file.write_bytes(way.run("pg_dump", "-Fc", "-Z0"))
        self.server.ask(f"create database {restored}")
        way.run("pg_restore", "-j", "3", "-d", restored, file)
        dump = digest(self.past(way).dump())
        same("pg_dump", dump, digest(way.dump()))
        same("what was restored", dump, digest(Way(self.server.direct.entry, restored).dump()))
        self.server.ask(f"drop database {restored}")

    def backup(self):
        """Fills a folder. The server often resets such a connection, without a tunnel, too: it
        does not read all that the program says last."""
        with check(f"{self.name}: pg_basebackup, which pg_verifybackup checks"):
            backup = self.place.folder / "backup"
            options = ["-X", "stream", "-c", "fast", "--no-sync"]
            self.through.run("pg_basebackup", "-D", backup, *options)
            run("pg_verifybackup", backup)
            shutil.rmtree(backup)

    # ---- how queries end

    def ends(self):
        with check(f"{self.name}: a query that is cancelled"):
            self.both("psql", self.cancelled)
        with check(f"{self.name}: the errors of a server"):
            self.both("a query", lambda way: way.errors("select 1/0"))
            end = "select pg_terminate_backend(pg_backend_pid())"
            self.both("a session", lambda way: way.errors(end))
            # The server closes at once behind its words, which must arrive all the same.
            for _ in range(20):
                self.both("no database", lambda way: Way(way.entry, "none").errors("select 1"))
        with check(f"{self.name}: the server has no connection left"):
            self.server.forgets()

    def cancelled(self, way):
        """What psql says when it is interrupted: it asks for that over a second connection."""
        words = ["psql", "-XAtqc", "select pg_sleep(600)"]
        client = self.place.start(*words, env=way.env, **PIPES)
        sleeps(self.server, way.database)
        client.send_signal(signal.SIGINT)
        told, errors = client.communicate(timeout=PATIENCE)
        holds(b"canceling statement due to user request" in errors, f"psql said {errors!r:.500}")
        return client.returncode, told, errors


def sleeps(server, database):
    query = f"datname = '{database}' and wait_event = 'PgSleep'"
    query = f"select count(*) from pg_stat_activity where {query}"
    until(lambda: server.ask(query) == "1", "a query sleeps")


def cut(server, killed):
    """Programs are in the middle of their work, and an end is killed."""
    name = f"postgresql, the {killed} is killed"
    tunnel = Tunnel(server.place, f"127.0.0.1:{server.port}")
    large = ROWS.format(LARGE // 200)
    server.ask(f"drop table if exists large; create table large as {large}", "through")
    server.ask("drop table if exists cut; create table cut (number int, value text)", "through")
    server.ask("truncate pgbench_history", "through")
    env = Way(tunnel.entry, "through").env
    start = lambda *words, **how: server.place.start(*words, env=env, **{**PIPES, **how})
    # All rows are there when it sleeps, and only the end is not.
    sleep = "select i, case when i = 20000 then pg_sleep(600) end from generate_series(1, 20000) i"
    programs = {
        "COPY to stdout": start("psql", "-XAtqc", f"copy ({large}) to stdout"),
        "pg_dump": start("pg_dump", "-t", "large"),
        "pg_basebackup": start("pg_basebackup", "-Ft", "-D", "-", "-X", "none", "-c", "fast"),
        "SELECT": start("psql", "-XAtqc", sleep),
        "COPY from stdin": start("psql", "-XAtqc", "copy cut from stdin", stdin=subprocess.PIPE),
        "pgbench": start("pgbench", "-n", "-c", "4", "-j", "2", "-T", "600"),
    }
    with check(f"{name}: programs transfer"):
        for what in ["COPY to stdout", "pg_dump", "pg_basebackup"]:
            some_read(programs[what], 1 << 20)
        sleeps(server, "through")
        history = "select count(*) >= 10 from pgbench_history"
        until(lambda: server.ask(history, "through") == "t", "pgbench")
        copy = programs["COPY from stdin"]
        copy.stdin.write(b"1\tx\n" * (1 << 18))
        copy.stdin.flush()
        copies = "select count(*) from pg_stat_progress_copy"
        copies += " where command = 'COPY FROM' and tuples_processed > 0"
        until(lambda: server.ask(copies) == "1", "COPY from stdin")
    tunnel.kill(killed)
    all_fail(name, programs)
    with check(f"{name}: the server has noticed all of it"):
        server.forgets()
        holds(server.ask("select count(*) from cut", "through") == "0", "a part of COPY stayed")
