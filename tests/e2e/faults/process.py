"""The binary under faults: started with the shim, its file looked into, with a SQLite that may write beside it.

The README warns of older SQLites, which can corrupt a WAL database that another program writes at the same time. The
tests therefore use the SQLite that the binary contains: its source lies where cargo has unpacked it, and is compiled
once.
"""

import atexit
import http.client
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import paulina  # noqa: E402
from shim import Shim  # noqa: E402

FAULTS = paulina.WORK.resolve() / "faults"
BINARY = Path(os.environ.get("PAULINA_BINARY", paulina.BINARY)).resolve()


# Whoever ends a test ends what it has started, too: `atexit` does not run after SIGTERM by itself.
signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def fresh_folder(name):
    folder = FAULTS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def same_sqlite():
    """Starts this program again with the binary's own SQLite, unless it runs with it already."""
    lock = (paulina.ROOT / "Cargo.lock").read_text()
    version = re.search(r'name = "libsqlite3-sys"\nversion = "([^"]+)"', lock)[1]
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    sources = list(home.glob(f"registry/src/*/libsqlite3-sys-{version}/sqlite3/sqlite3.c"))
    assert sources, f"the source of libsqlite3-sys {version} is not in {home}; build Paulina first"
    wanted = re.search(r'#define SQLITE_VERSION +"([^"]+)"', sources[0].read_text())[1]
    if sqlite3.sqlite_version == wanted:
        os.environ.pop("LD_PRELOAD", None)
        return
    library = FAULTS / f"sqlite-{wanted}" / "libsqlite3.so.0"
    assert os.environ.get("LD_PRELOAD") != str(library), f"this Python does not take SQLite {wanted} from {library}"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        made = library.with_suffix(f".{os.getpid()}")
        flags = ["-O1", "-shared", "-fPIC", "-DSQLITE_ENABLE_FTS5", "-DSQLITE_ENABLE_COLUMN_METADATA",
                 "-Wl,-soname,libsqlite3.so.0"]
        subprocess.run(["cc", *flags, "-o", made, sources[0], "-lpthread", "-ldl", "-lm"], check=True)
        made.rename(library)
    os.execve(sys.executable, [sys.executable, *sys.argv], paulina.environment(LD_PRELOAD=str(library)))


class Process(paulina.Registry):
    """`paulina serve`, with the environment of a shim if there is one. It logs to a file beside its folder."""

    def __init__(self, database, *arguments, shim=None):
        super().__init__(database, *arguments)
        self.shim = shim
        self.log = self.database.parent.with_suffix(".log")
        atexit.register(self.end)

    def launch(self):
        """Starts it and does not wait."""
        command = [BINARY, "serve", "--listen", f"127.0.0.1:{self.port}", "--database", self.database]
        extra = self.shim.environment if self.shim else {}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*command, *self.arguments], stderr=log, env=paulina.environment(**extra))

    def start(self):
        """Starts it and returns the seconds until it was ready."""
        begin = time.monotonic()
        self.launch()
        while not self.is_ready():
            assert self.process.poll() is None, f"the registry did not start; see {self.log}"
            assert time.monotonic() < begin + 20, "the registry is not ready after 20 s"
            time.sleep(0.002)
        return time.monotonic() - begin

    def is_ready(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def killed_while_starting(self, seconds):
        self.launch()
        time.sleep(seconds)
        self.kill()

    def send(self, name):
        self.process.send_signal(signal.Signals[name])

    def end(self):
        """For the end of a test that may have failed: whatever state it is in."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def copy(self, folder):
        """Copies the database's files but for the one that never survives a power cut."""
        folder.mkdir(parents=True)
        for path in self.database.parent.iterdir():
            if path.name.startswith(self.database.name) and not path.name.endswith("-shm"):
                shutil.copyfile(path, folder / path.name)


def under_shim(name, **options):
    """A process whose database is to lie in a fresh folder, beside which it has a shim."""
    folder = fresh_folder(name)
    database = folder / "now" / "paulina.db"
    database.parent.mkdir()
    return Process(database, shim=Shim(folder / "shim", database, **options))


def reading(database):
    """A connection that cannot write."""
    return sqlite3.connect(f"file:{database}?mode=ro", uri=True, isolation_level=None, timeout=10)


def check_file(database):
    """What SQLite and the numbering of changes say of a file; returns its epoch and revision."""
    connection = reading(database)
    try:
        connection.execute("BEGIN")
        integrity = connection.execute("PRAGMA integrity_check").fetchall()
        assert integrity == [("ok",)], f"integrity_check: {integrity}"
        orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
        assert not orphans, f"foreign_key_check: {orphans[:5]}"
        numbers = [number for number, in connection.execute("SELECT revision FROM changes ORDER BY revision")]
        epoch, revision = connection.execute("SELECT epoch, revision FROM settings").fetchone()
        if numbers:
            expected = list(range(numbers[0], numbers[-1] + 1))
            assert numbers == expected, f"changes have gaps: {sorted(set(expected) - set(numbers))[:5]}"
            assert numbers[-1] == revision, f"the last change is {numbers[-1]}, but settings say {revision}"
        return epoch, revision
    finally:
        connection.close()


def changes_after(database, revision):
    """The changes beyond a revision, for each server in order: kind, and the title that it had afterwards."""
    changes = {}
    connection = reading(database)
    query = "SELECT server, kind, after ->> 'title' FROM changes WHERE revision > ? ORDER BY revision"
    for server, kind, title in connection.execute(query, [revision]):
        changes.setdefault(server, []).append((kind, title))
    connection.close()
    return changes
