"""The file of the registry, read with the same SQLite as the registry itself.

docs/operations.md warns of older SQLite versions, which can corrupt a WAL database that another program writes at the
same time. The tests therefore use the SQLite that the binary contains: its source is where cargo has unpacked it. It is
compiled once.
"""

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

from faults.process import FAULTS
from harness import ROOT, environment


def same_sqlite():
    """Restarts this program with the SQLite of the binary, unless it already runs with it."""
    lock = (ROOT / "Cargo.lock").read_text()
    version = re.search(r'name = "libsqlite3-sys"\nversion = "([^"]+)"', lock)[1]
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    sources = list(home.glob(f"registry/src/*/libsqlite3-sys-{version}/sqlite3/sqlite3.c"))
    assert sources, f"the source of libsqlite3-sys {version} is not in {home}; build Paulina first"
    wanted = re.search(r'#define SQLITE_VERSION +"([^"]+)"', sources[0].read_text())[1]
    if sqlite3.sqlite_version == wanted:
        os.environ.pop("LD_PRELOAD", None)
        return
    library = FAULTS / f"sqlite-{wanted}" / "libsqlite3.so.0"
    assert os.environ.get("LD_PRELOAD") != str(library), f"this Python does not load SQLite {wanted} from {library}"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        made = library.with_suffix(f".{os.getpid()}")
        flags = [
            "-O1",
            "-shared",
            "-fPIC",
            "-DSQLITE_ENABLE_FTS5",
            "-DSQLITE_ENABLE_COLUMN_METADATA",
            "-Wl,-soname,libsqlite3.so.0",
        ]
        subprocess.run(["cc", *flags, "-o", made, sources[0], "-lpthread", "-ldl", "-lm"], check=True)
        made.rename(library)
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment(LD_PRELOAD=str(library)))


def reading(database):
    """Opens a read-only connection."""
    return sqlite3.connect(f"file:{database}?mode=ro", uri=True, isolation_level=None, timeout=10)


def check_file(database):
    """Checks the integrity of a file and the numbering of its changes. Returns its epoch and revision."""
    connection = reading(database)
    try:
        connection.execute("BEGIN")
        integrity = connection.execute("PRAGMA integrity_check").fetchall()
        assert integrity == [("ok",)], f"integrity_check: {integrity}"
        orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
        assert not orphans, f"foreign_key_check: {orphans[:5]}"
        numbers = [number for (number,) in connection.execute("SELECT revision FROM changes ORDER BY revision")]
        epoch, revision = connection.execute("SELECT epoch, revision FROM settings").fetchone()
        if numbers:
            expected = list(range(numbers[0], numbers[-1] + 1))
            assert numbers == expected, f"changes have gaps: {sorted(set(expected) - set(numbers))[:5]}"
            assert numbers[-1] == revision, f"the last change is {numbers[-1]}, but settings have {revision}"
        return epoch, revision
    finally:
        connection.close()


def changes_after(database, revision):
    """Returns the changes after a revision, for each server in order: the kind, and the title afterwards."""
    changes = {}
    connection = reading(database)
    query = "SELECT server, kind, after ->> 'title' FROM changes WHERE revision > ? ORDER BY revision"
    for server, kind, title in connection.execute(query, [revision]):
        changes.setdefault(server, []).append((kind, title))
    connection.close()
    return changes
