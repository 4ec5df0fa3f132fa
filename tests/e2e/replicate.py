"""`paulina replicate` and `paulina serve --restore-from`: which epoch goes where, and what comes back from there."""

import atexit
import os
import shutil
import signal
import subprocess
import time

from paulina import BINARY, ROOT, WORK, Registry, environment, wait_until

LITESTREAM = WORK / "venv-sdk/bin/litestream"
FOLDER = WORK / "replicate"
REPLICA = FOLDER / "replica"


def machine(name, *arguments):
    (FOLDER / name).mkdir()
    registry = Registry(FOLDER / name / "paulina.db", "--litestream", LITESTREAM, *arguments)
    registry.start()
    atexit.register(registry.process.kill)
    return registry


def end_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def replicate(registry, replica=REPLICA):
    command = [BINARY, "replicate", "--database", registry.database, "--to", f"file://{replica}", "--litestream", LITESTREAM]
    log = open(registry.database.with_name("replicate.log"), "ab")
    process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    atexit.register(end_group, process)
    return process


def register(registry, *ids):
    for id in ids:
        body = {"id": id, "name": id, "transport": "stdio", "command": ["true"], "capabilities": {"tools": ["t"]}, "ttl": 3600}
        registry.curl("/v1/servers", body=body)


def litestreams(registry):
    """The processes of Litestream that replicate a database."""
    listed = subprocess.run(["pgrep", "-f", f"litestream replicate {registry.database}"], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]


def restored(name, *arguments):
    """What a machine without a database restores."""
    other = machine(name, "--restore-from", f"file://{REPLICA}", *arguments)
    ids, epoch = sorted(other.ids("limit=1000")), other.curl("/v1/stats")["revision"].split("-")[0]
    other.stop()
    return ids, epoch


def arrives(name, expected):
    """Waits until the newest epoch of the replica has these."""
    attempts = 0

    def there():
        nonlocal attempts
        attempts += 1
        return restored(f"{name}-{attempts}")[0] == sorted(expected)

    wait_until(there, 15, f"the replica has {expected}")


def put_back(backup, registry, aside):
    """Puts a backup in the place of a database, which is moved away with the files beside it."""
    aside.mkdir()
    for suffix in ["", "-lease", "-wal", "-shm"]:
        file = registry.database.with_name(registry.database.name + suffix)
        if file.exists():
            file.rename(aside / file.name)
    shutil.copy(backup, registry.database)


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    a = machine("a", "--restore-from", f"file://{REPLICA}")
    assert a.ids("") == [], "nothing is restored from an empty replica"
    sidecar = replicate(a)
    register(a, "one")
    arrives("first", ["one"])
    assert sorted(path.name for path in REPLICA.iterdir()) == ["1"]

    second = replicate(a)
    assert second.wait(10) == 1, "a second one is refused"
    assert "is replicated by another process" in (FOLDER / "a/replicate.log").read_text()

    # Its Litestream lives on when it is killed, and is ended by the next one: two would write one replica.
    orphans = litestreams(a)
    assert len(orphans) == 1, orphans
    sidecar.kill()
    sidecar.wait()
    assert litestreams(a) == orphans
    sidecar = replicate(a)
    wait_until(lambda: len(litestreams(a)) == 1 and litestreams(a) != orphans, 15, "one Litestream, and another one")
    register(a, "two")
    arrives("second", ["one", "two"])
    assert sorted(path.name for path in REPLICA.iterdir()) == ["1"], "the same epoch goes on in its folder"
    print("killed -9, its Litestream was ended by the next one, and the epoch went on")

    # Litestream killed: it is started again.
    os.kill(litestreams(a)[0], signal.SIGKILL)
    register(a, "three")
    arrives("third", ["one", "two", "three"])

    # A backup is put back: another history, in a folder of its own.
    backup = FOLDER / "backup.db"
    subprocess.run([BINARY, "backup", backup, "--database", a.database], check=True, stdout=subprocess.DEVNULL)
    register(a, "later")
    arrives("fourth", ["one", "two", "three", "later"])
    before = a.curl("/v1/stats")["revision"].split("-")[0]
    a.stop()
    put_back(backup, a, FOLDER / "a-before")
    a.start()
    after = a.curl("/v1/stats")["revision"].split("-")[0]
    assert after != before, "a new epoch"
    register(a, "other")
    arrives("fifth", ["one", "two", "three", "other"])
    assert sorted(path.name for path in REPLICA.iterdir()) == ["1", "2"]
    ids, epoch = restored("lost")
    assert epoch not in (before, after), "what is restored begins an epoch of its own"
    print(f"a backup put back went to folder 2; restored from there: {', '.join(ids)}, epochs {before}, {after}, {epoch}")

    # Again, while the sidecar is dead and its Litestream is not: nobody could serve the backup before that one has ended.
    sidecar.kill()
    sidecar.wait()
    a.stop()
    put_back(backup, a, FOLDER / "a-between")
    assert len(litestreams(a)) == 1, "it is left"
    sidecar = replicate(a)
    a.start()
    arrives("sixth", ["one", "two", "three"])

    # In order: what was acknowledged last is uploaded before it ends.
    register(a, "last")
    sidecar.terminate()
    assert sidecar.wait(30) == 0
    assert litestreams(a) == []
    assert "last" in restored("ended")[0], "ended in order, nothing is missing"
    a.stop()

    # A replica of plain Litestream.
    names = environment(PAULINA_DATABASE=str(a.database), PAULINA_REPLICA_URL=f"file://{FOLDER}/plain")
    a.start()
    plain = subprocess.Popen([LITESTREAM, "replicate", "-config", ROOT / "deploy/litestream.yml"], env=names,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    atexit.register(plain.kill)
    time.sleep(4)
    plain.terminate()
    plain.wait()
    other = machine("from-plain", "--restore-from", f"file://{FOLDER}/plain")
    assert "last" in other.ids(""), "a folder of Litestream's own is restored, too"
    other.stop()
    a.stop()

    # Promoted by a signal; and a primary from then on, whatever its flags say.
    c = machine("c", "--standby", "--restore-from", f"file://{REPLICA}", "--restore-interval", "1s")
    assert c.curl("/readyz")["role"] == "standby"
    c.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: c.curl("/readyz")["role"] == "primary", 10, "SIGUSR1 promotes it")
    register(c, "by-signal")
    c.kill()
    c.start()
    assert c.curl("/readyz")["role"] == "primary" and "by-signal" in c.ids(""), "promoted for good"
    c.stop()

    # The replica is gone with the primary: the copy in hand is all there is.
    (FOLDER / "b").mkdir()
    b = Registry(FOLDER / "b/paulina.db", "--litestream", LITESTREAM, "--standby", "--restore-from", f"file://{REPLICA}",
                 "--restore-interval", "1s")
    b.start()
    atexit.register(b.process.kill)
    shutil.rmtree(REPLICA)
    promote = [BINARY, "promote", "--registry", b.url]
    refused = subprocess.run(promote, capture_output=True, text=True)
    assert refused.returncode == 1 and "there is nothing left of it" in refused.stderr, refused.stderr
    wait_until(lambda: "cannot restore" in (FOLDER / "b/paulina.log").read_text(), 10, "the standby says so")
    assert "last" in b.ids(""), "it goes on from the copy that it has"
    b.stop()
    b.start()
    assert b.curl("/readyz")["role"] == "standby" and "last" in b.ids(""), "and starts from it"
    subprocess.run([*promote, "--force"], check=True, stdout=subprocess.DEVNULL)
    register(b, "new")
    assert {"last", "new"} <= set(b.ids("")), "promoted from the copy in hand"
    b.stop()

    old = FOLDER / "old-litestream"
    old.write_text("#!/bin/sh\necho 0.5.13\n")
    old.chmod(0o755)
    refused = subprocess.run([BINARY, "replicate", "--database", a.database, "--to", "file:///nowhere", "--litestream", old],
                             capture_output=True, text=True)
    assert refused.returncode == 1 and "is Litestream 0.5.13: 0.5.17 or newer is needed" in refused.stderr, refused.stderr
    print("replicate: passed")


if __name__ == "__main__":
    main()
