"""Starts that must be refused: a clear message that says what to do, an exit code that is not 0, and the file as it was.

What needs no other user stands in tests/it/start.rs; this is the rest: a folder that cannot be written, a file that cannot be
read, and pages that are damaged though the header is sound.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import paulina

BINARY = os.environ.get("PAULINA_BINARY", paulina.BINARY)
FOLDER = paulina.WORK / "faults/start"
NOBODY = 65534


def refused(database, words, *, user=None):
    """Starts it, and returns what it says when it is refused."""
    before = database.read_bytes() if database.exists() else None
    command = [BINARY, "serve", "--listen", "127.0.0.1:0", "--database", database]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, user=user)
    assert done.returncode == 1, f"{database.name}: exit code {done.returncode}: {done.stderr}"
    for word in words:
        assert word in done.stderr, f"{database.name}: {word!r} is missing in: {done.stderr}"
    after = database.read_bytes() if database.exists() else None
    assert after == before, f"{database.name}: the file was changed by a start that was refused"
    return done.stderr.strip()


def made(database):
    """A database with a few servers, closed in order."""
    registry = paulina.Registry(database)
    registry.start()
    for number in range(50):
        tools = [{"name": f"tool_{tool}", "description": "Does something " * 20} for tool in range(10)]
        registry.curl("/v1/servers", body={"id": f"s{number}", "name": "s", "transport": "stdio", "command": ["true"],
                                           "capabilities": {"tools": tools}, "ttl": 3600})
    registry.stop()


def main():
    assert os.geteuid() == 0, "faults/start.py becomes another user, and has to be root for that"
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    # Where another user can run it, whoever owns the checkout.
    public = Path("/tmp/paulina-e2e-start")
    shutil.rmtree(public, ignore_errors=True)
    public.mkdir(mode=0o755)
    global BINARY
    BINARY = Path(shutil.copy(BINARY, public / "paulina"))
    try:
        said = [refused(public / "new.db", ["cannot open the database", "Permission denied", "can be written"], user=NOBODY)]
        mine = FOLDER / "mine.db"
        made(mine)
        shutil.copy(mine, public / "mine.db")
        (public / "mine.db").chmod(0o600)
        said.append(refused(public / "mine.db", ["cannot open the database", "Permission denied"], user=NOBODY))
    finally:
        BINARY = os.environ.get("PAULINA_BINARY", paulina.BINARY)
        shutil.rmtree(public)

    damaged = FOLDER / "damaged.db"
    shutil.copy(mine, damaged)
    with sqlite3.connect(f"file:{damaged}?mode=ro", uri=True) as connection:
        roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_schema WHERE name IN ('servers', 'leases')"))
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    with damaged.open("r+b") as file:
        for root in roots.values():
            file.seek((root - 1) * size)
            file.write(b"\xaa" * size)
    said.append(refused(damaged, ["is damaged", "Restore a backup"]))
    doctor = subprocess.run([BINARY, "doctor", "--database", damaged, "--registry", "http://127.0.0.1:1"],
                            capture_output=True, text=True, timeout=20)
    assert doctor.returncode == 1 and "damaged" in doctor.stdout, f"doctor finds nothing: {doctor.stdout}"
    for line in said:
        print(line.replace(str(FOLDER), "…"))
    print("faults/start: passed")


if __name__ == "__main__":
    main()
