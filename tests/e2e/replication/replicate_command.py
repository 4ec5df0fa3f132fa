"""`paulina replicate` and `paulina serve --restore-from`: the folder of each epoch, and what is restored from it."""

import atexit
import os
import shutil
import signal
import subprocess
import time

from harness import BINARY, LITESTREAM, ROOT, WORK, Registry, environment, wait_until

FOLDER = WORK / "replicate"
REPLICA = FOLDER / "replica"


def machine(name, *arguments):
    (FOLDER / name).mkdir()
    registry = Registry(FOLDER / name / "paulina.db", "--litestream-bin", LITESTREAM, *arguments)
    registry.start()
    atexit.register(registry.process.kill)
    return registry


def end_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def replicate(registry, replica=REPLICA):
    command = [
        BINARY,
        "replicate",
        "--database",
        registry.database,
        "--to",
        f"file://{replica}",
        "--litestream-bin",
        LITESTREAM,
    ]
    log = open(registry.database.with_name("replicate.log"), "ab")
    process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    atexit.register(end_group, process)
    return process


def register(registry, *ids):
    for id in ids:
        body = {
            "id": id,
            "name": id,
            "transport": "stdio",
            "command": ["true"],
            "capabilities": {"tools": ["t"]},
            "ttl": 3600,
        }
        registry.curl("/v1/servers", body=body)


def litestreams(registry):
    """Returns the Litestream processes that replicate a database."""
    listed = subprocess.run(
        ["pgrep", "-f", f"litestream replicate {registry.database}"], capture_output=True, text=True
    )
    return [int(line) for line in listed.stdout.split()]


def restored(name, *arguments):
    """Returns the ids and the epoch that a machine without a database restores."""
    other = machine(name, "--restore-from", f"file://{REPLICA}", *arguments)
    ids, epoch = sorted(other.ids("limit=1000")), other.curl("/v1/stats")["revision"].split("-")[0]
    other.stop()
    return ids, epoch


def wait_for_replica(name, expected):
    """Waits until the newest epoch of the replica has exactly these ids."""
    attempts = 0

    def is_complete():
        nonlocal attempts
        attempts += 1
        return restored(f"{name}-{attempts}")[0] == sorted(expected)

    wait_until(is_complete, 15, f"the replica has {expected}")


def restore_backup(backup, registry, old_files):
    """Replaces a database by a backup. Its files move to another folder."""
    old_files.mkdir()
    for suffix in ["", "-lease", "-wal", "-shm"]:
        file = registry.database.with_name(registry.database.name + suffix)
        if file.exists():
            file.rename(old_files / file.name)
    shutil.copy(backup, registry.database)


def first_epoch():
    a = machine("a", "--restore-from", f"file://{REPLICA}")
    assert a.ids("") == [], "an empty replica restores no server"
    sidecar = replicate(a)
    register(a, "one")
    wait_for_replica("first", ["one"])
    assert sorted(path.name for path in REPLICA.iterdir()) == ["1"]

    second = replicate(a)
    assert second.wait(10) == 1, "a second sidecar was not refused"
    assert "is replicated by another process" in (FOLDER / "a/replicate.log").read_text()
    return a, sidecar


def killed_sidecar(a, sidecar):
    """After a kill of the sidecar, its Litestream keeps running. The next sidecar ends it: two must not write one
    replica."""
    orphans = litestreams(a)
    assert len(orphans) == 1, orphans
    sidecar.kill()
    sidecar.wait()
    assert litestreams(a) == orphans
    sidecar = replicate(a)
    wait_until(lambda: len(litestreams(a)) == 1 and litestreams(a) != orphans, 15, "one new Litestream process")
    register(a, "two")
    wait_for_replica("second", ["one", "two"])
    assert sorted(path.name for path in REPLICA.iterdir()) == ["1"], "the same epoch continues in its folder"
    print("kill -9: the next sidecar ended the old Litestream, and the epoch continued")

    # A killed Litestream is started again.
    os.kill(litestreams(a)[0], signal.SIGKILL)
    register(a, "three")
    wait_for_replica("third", ["one", "two", "three"])
    return sidecar


def restored_backup(a, sidecar):
    """A restored backup starts another history, in its own folder."""
    backup = FOLDER / "backup.db"
    subprocess.run([BINARY, "backup", backup, "--database", a.database], check=True, stdout=subprocess.DEVNULL)
    register(a, "later")
    wait_for_replica("fourth", ["one", "two", "three", "later"])
    before = a.curl("/v1/stats")["revision"].split("-")[0]
    a.stop()
    restore_backup(backup, a, FOLDER / "a-before")
    a.start()
    after = a.curl("/v1/stats")["revision"].split("-")[0]
    assert after != before, "the epoch has not changed"
    register(a, "other")
    wait_for_replica("fifth", ["one", "two", "three", "other"])
    assert sorted(path.name for path in REPLICA.iterdir()) == ["1", "2"]
    ids, epoch = restored("lost")
    assert epoch not in (before, after), "a restored database must begin a new epoch"
    print(f"a restored backup is in folder 2; restored from there: {', '.join(ids)}, epochs {before}, {after}, {epoch}")

    # Again, after a kill of the sidecar only: the backup cannot be served before its Litestream has ended.
    sidecar.kill()
    sidecar.wait()
    a.stop()
    restore_backup(backup, a, FOLDER / "a-second")
    assert len(litestreams(a)) == 1, "Litestream must still run"
    sidecar = replicate(a)
    a.start()
    wait_for_replica("sixth", ["one", "two", "three"])
    return sidecar


def clean_stop(a, sidecar):
    """A clean stop uploads the last acknowledged changes."""
    register(a, "last")
    sidecar.terminate()
    assert sidecar.wait(30) == 0
    assert litestreams(a) == []
    assert "last" in restored("ended")[0], "a change is missing after a clean stop"
    a.stop()


def plain_litestream(a):
    """A replica that was written by Litestream without Paulina can be restored, too."""
    names = environment(PAULINA_DATABASE=str(a.database), PAULINA_REPLICA_URL=f"file://{FOLDER}/plain")
    a.start()
    plain = subprocess.Popen(
        [LITESTREAM, "replicate", "-config", ROOT / "deploy/litestream.yml"],
        env=names,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    atexit.register(plain.kill)
    time.sleep(4)
    plain.terminate()
    plain.wait()
    other = machine("from-plain", "--restore-from", f"file://{FOLDER}/plain")
    assert "last" in other.ids(""), "the replica of plain Litestream was not restored"
    other.stop()
    a.stop()


def promotion_by_signal():
    """SIGUSR1 promotes a standby, which remains a primary after a restart with --standby."""
    c = machine("c", "--standby", "--restore-from", f"file://{REPLICA}", "--restore-interval", "1s")
    assert c.curl("/readyz")["role"] == "standby"
    c.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: c.curl("/readyz")["role"] == "primary", 10, "SIGUSR1 promotes it")
    register(c, "by-signal")
    c.kill()
    c.start()
    assert c.curl("/readyz")["role"] == "primary" and "by-signal" in c.ids(""), "the promotion was lost"
    c.stop()


def lost_replica():
    """The replica is lost together with the primary: only the local copy is left."""
    (FOLDER / "b").mkdir()
    b = Registry(
        FOLDER / "b/paulina.db",
        "--litestream-bin",
        LITESTREAM,
        "--standby",
        "--restore-from",
        f"file://{REPLICA}",
        "--restore-interval",
        "1s",
    )
    b.start()
    atexit.register(b.process.kill)
    shutil.rmtree(REPLICA)
    promote = [BINARY, "promote", "--registry", b.url]
    refused = subprocess.run(promote, capture_output=True, text=True)
    assert refused.returncode == 1 and "the replica is empty now" in refused.stderr, refused.stderr
    wait_until(
        lambda: "cannot restore" in (FOLDER / "b/paulina.log").read_text(), 10, "the standby reports the failed restore"
    )
    assert "last" in b.ids(""), "the standby must continue with its copy"
    b.stop()
    b.start()
    assert b.curl("/readyz")["role"] == "standby" and "last" in b.ids(""), "the standby must start from its copy"
    subprocess.run([*promote, "--force"], check=True, stdout=subprocess.DEVNULL)
    register(b, "new")
    assert {"last", "new"} <= set(b.ids("")), "the copy was not promoted"
    b.stop()


def old_litestream(a):
    """A Litestream that is too old is refused."""
    old = FOLDER / "old-litestream"
    old.write_text("#!/bin/sh\necho 0.5.13\n")
    old.chmod(0o755)
    refused = subprocess.run(
        [BINARY, "replicate", "--database", a.database, "--to", "file:///nowhere", "--litestream-bin", old],
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1 and "is Litestream 0.5.13: 0.5.17 or newer is required" in refused.stderr, (
        refused.stderr
    )


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    a, sidecar = first_epoch()
    sidecar = killed_sidecar(a, sidecar)
    sidecar = restored_backup(a, sidecar)
    clean_stop(a, sidecar)
    plain_litestream(a)
    promotion_by_signal()
    lost_replica()
    old_litestream(a)
    print("replicate: passed")


if __name__ == "__main__":
    main()
