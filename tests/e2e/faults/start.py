"""Starts that must be refused, with a clear message that says what to do, a nonzero exit code, and an unchanged file.

tests/it/startup.rs covers the cases that need no other user. Here are the rest: a folder that cannot be written, a file
that cannot be read, and damaged pages behind a valid header.
"""

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import harness
from harness import WORK, Registry

BINARY = harness.BINARY
FOLDER = WORK / "faults/start"
OTHER_USER = 65534


def refused(database, words, *, user=None):
    """Starts the registry, which must refuse to start. Returns its error message."""
    before = database.read_bytes() if database.exists() else None
    command = [BINARY, "serve", "--listen", "127.0.0.1:0", "--database", database]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, user=user)
    assert done.returncode == 1, f"{database.name}: exit code {done.returncode}: {done.stderr}"
    for word in words:
        assert word in done.stderr, f"{database.name}: {word!r} is missing in: {done.stderr}"
    after = database.read_bytes() if database.exists() else None
    assert after == before, f"{database.name}: a refused start changed the file"
    return done.stderr.strip()


def create_database(database):
    """Creates a database with a few servers and closes it cleanly."""
    registry = Registry(database)
    registry.start()
    for number in range(50):
        tools = [{"name": f"tool_{tool}", "description": "Does something " * 20} for tool in range(10)]
        registry.curl(
            "/v1/servers",
            body={
                "id": f"s{number}",
                "name": "s",
                "transport": "stdio",
                "command": ["true"],
                "capabilities": {"tools": tools},
                "ttl": 3600,
            },
        )
    registry.stop()


def main():
    assert os.geteuid() == 0, "faults/start.py runs processes as another user, which needs root"
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    # A place where another user can run it, whatever the permissions of the checkout.
    public = Path("/tmp/paulina-e2e-start")
    shutil.rmtree(public, ignore_errors=True)
    public.mkdir(mode=0o755)
    global BINARY
    BINARY = Path(shutil.copy(BINARY, public / "paulina"))
    try:
        messages = [
            refused(
                public / "new.db", ["cannot open the database", "Permission denied", "can be written"], user=OTHER_USER
            )
        ]
        mine = FOLDER / "mine.db"
        create_database(mine)
        shutil.copy(mine, public / "mine.db")
        (public / "mine.db").chmod(0o600)
        messages.append(refused(public / "mine.db", ["cannot open the database", "Permission denied"], user=OTHER_USER))
    finally:
        BINARY = harness.BINARY
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
    messages.append(refused(damaged, ["is damaged", "Restore a backup"]))
    doctor = subprocess.run(
        [BINARY, "doctor", "--database", damaged, "--registry", "http://127.0.0.1:1"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert doctor.returncode == 1 and "damaged" in doctor.stdout, f"doctor reports no damage: {doctor.stdout}"
    for line in messages:
        print(line.replace(str(FOLDER), "…"))
    print("faults/start: passed")


if __name__ == "__main__":
    main()
