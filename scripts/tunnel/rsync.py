"""rsync: a tree of files to a daemon and back, changes of it, cuts."""

import json
import os
import random
import re
import shutil

from .common import (
    ENDS,
    LARGE,
    PATIENCE,
    PIPES,
    Tunnel,
    all_fail,
    check,
    digest,
    free_port,
    holds,
    listens,
    run,
    same,
    until,
)

NEEDS = ["rsync"]


def check_all(place):
    port = daemon(place)
    tunnel = Tunnel(place, f"127.0.0.1:{port}")
    trees(Trees(place, {"direct": ("127.0.0.1", port), "through": tunnel.entry}))
    with check("rsync: no connection has failed, and the tunnel stops"):
        tunnel.is_quiet()
        tunnel.stop()
    (place.folder / "source").mkdir()
    (place.folder / "source/file").write_bytes(random.Random(7).randbytes(LARGE))
    for killed in ENDS:
        cut(place, port, killed)


def daemon(place):
    """Starts a daemon, which has all of the place; returns its port."""
    config, port = place.folder / "rsyncd.conf", free_port()
    lines = ["use chroot = no", "munge symlinks = no"]
    lines += ["uid = root", "gid = root"] if os.getuid() == 0 else []
    lines += ["[all]", f"path = {place.folder}", "read only = no"]
    config.write_text("\n".join(lines))
    where = ["--config", config, "--address", "127.0.0.1", "--port", port]
    place.start("rsync", "--daemon", "--no-detach", *where)
    until(lambda: listens(("127.0.0.1", port)), "rsync listens")
    return port


def module(entry):
    return f"rsync://{entry[0]}:{entry[1]}/all"


class Trees:
    """A tree of files, and copies of it: `there` and `back`, for each way."""

    def __init__(self, place, ways):
        self.folder, self.ways = place.folder, ways
        self.tree = place.folder / "tree"
        seeded = random.Random(7)
        for i in range(300):
            folder = self.tree / f"folder{i % 7}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"file{i}").write_bytes(seeded.randbytes(seeded.randrange(20000)))
        (self.tree / "large").write_bytes(seeded.randbytes(8 << 20))
        (self.tree / "empty").touch()
        (self.tree / "link").symlink_to("empty")
        (self.tree / "a name, with \u00e4").write_text("odd")

    def change(self):
        (self.tree / "new").write_text("new")
        (self.tree / "folder1/file8").unlink()
        with open(self.tree / "large", "r+b") as large:
            large.seek(1 << 20)
            large.write(b"changed")

    def push(self, way, *more):
        return self.sync(f"{self.tree}/", f"{module(self.ways[way])}/there-{way}/", *more)

    def pull(self, way):
        return self.sync(f"{module(self.ways[way])}/there-{way}/", f"{self.folder}/back-{way}/")

    @staticmethod
    def sync(source, target, *more):
        options = ["-a", "--itemize-changes", "--timeout", PATIENCE, *more]
        return run("rsync", *options, source, target).stdout.decode()

    def same(self, copy):
        trees = [told_tree(self.tree), told_tree(self.folder / copy)]
        holds(trees[0] == trees[1], f"{copy} is another tree")


def told_tree(tree):
    """All that a tree has."""
    entries = {}
    for path in sorted(tree.rglob("*")):
        what = os.readlink(path) if path.is_symlink() else None
        if path.is_file() and not path.is_symlink():
            what = digest(path.read_bytes())
        entries[str(path.relative_to(tree))] = (what, path.lstat().st_mode)
    return digest(json.dumps(entries).encode())


def trees(trees):
    with check("rsync: a tree of files there and back"):
        for way in trees.ways:
            trees.push(way)
            trees.pull(way)
            trees.same(f"there-{way}")
            trees.same(f"back-{way}")
    with check("rsync: a second run sends nothing"):
        for way in trees.ways:
            told = trees.push(way, "--checksum")
            holds(told == "", f"{way}: it sent {told}")
    with check("rsync: a few changes send as much as without a tunnel"):
        trees.change()
        sent = [sent_by(trees.push(way, "--stats", "--delete")) for way in trees.ways]
        same("what was sent", *sent)
        trees.same("there-through")


def sent_by(told):
    return re.findall(r"(?m)^(?:Literal|Matched) data: .*|^[*<>c.]\S+ .*", told)


def cut(place, port, killed):
    """A push and a pull are in the middle of a file, and an end is killed."""
    name = f"rsync, the {killed} is killed"
    tunnel = Tunnel(place, f"127.0.0.1:{port}")
    folders = {"a push": place.folder / "pushed", "a pull": place.folder / "pulled"}
    for folder in folders.values():
        shutil.rmtree(folder, ignore_errors=True)
    # Slow enough to be seen in the middle.
    start = lambda *words: place.start("rsync", "-r", "--bwlimit=8m", *words, **PIPES)
    programs = {
        "a push": start(f"{place.folder}/source/", f"{module(tunnel.entry)}/pushed/"),
        "a pull": start(f"{module(tunnel.entry)}/source/", folders["a pull"]),
    }
    with check(f"{name}: programs transfer"):
        for folder in folders.values():
            until(lambda: unfinished(folder) > 1 << 20, "a part of the file is there")
    tunnel.kill(killed)
    all_fail(name, programs)
    with check(f"{name}: no part has the name of the whole file"):
        for folder in folders.values():
            until(lambda: not list(folder.glob(".file.*")), "rsync takes the part away")
            holds(not (folder / "file").exists(), f"{folder} has the file")


def unfinished(folder):
    """Bytes of a file that rsync has not finished."""
    return sum(path.stat().st_size for path in folder.glob(".file.*"))
