"""A failover and the way back: a primary, a standby, and 200 servers whose clients know both. The machine of the
primary is lost, the standby is promoted, and later the roles are exchanged again.

    python -m replication.failover [runs] [ttl]

The loss of a machine kills the registry and its Litestream at once. The operator needs a second to notice it.
"""

import atexit
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time

from harness import BINARY, LITESTREAM, ROOT, WORK, Registry, environment, wait_until

FLEET = ROOT / "target/debug/examples/fleet"
FOLDER = WORK / "failover"
SERVERS, MORE = 200, 10
DETECTION = 1.0  # seconds until the operator notices the loss


class Machine:
    """One of two machines: a registry and the sidecar that replicates it."""

    def __init__(self, name, folder=FOLDER):
        self.folder = folder / name
        self.folder.mkdir(parents=True)
        self.replica = f"file://{folder}/replica-{name}"
        self.registry = Registry(self.folder / "paulina.db", "--litestream-bin", LITESTREAM)
        self.sidecar = None

    def arguments(self, other, *, standby):
        own = ["--litestream-bin", LITESTREAM, "--peer", other.registry.url]
        return [*own, "--standby", "--restore-from", other.replica, "--restore-interval", "1s"] if standby else own

    def start(self, other, *, standby):
        self.registry.arguments = self.arguments(other, standby=standby)
        self.registry.start()
        if self.sidecar is None or self.sidecar.poll() is not None:
            command = [
                BINARY,
                "replicate",
                "--database",
                self.registry.database,
                "--to",
                self.replica,
                "--litestream-bin",
                LITESTREAM,
            ]
            log = open(self.folder / "replicate.log", "ab")
            self.sidecar = subprocess.Popen(command, stderr=log, stdout=log, start_new_session=True)
            atexit.register(self.lose)

    def lose(self):
        """Kills all its processes at once."""
        self.registry.process.send_signal(signal.SIGKILL)
        try:
            os.killpg(self.sidecar.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.registry.process.wait()
        self.sidecar.wait()

    def ids(self):
        page = self.registry.curl("/v1/servers?limit=1000", fail=False)
        return [server["id"] for server in page["servers"]] if page else []

    def role(self):
        ready = self.registry.curl("/readyz", fail=False)
        return ready and ready["role"]

    def ended_leases(self):
        """Returns the servers of the fleet that expired or were deregistered, as recorded by the registry."""
        with sqlite3.connect(f"file:{self.registry.database}?mode=ro", uri=True) as database:
            sql = "SELECT server FROM changes WHERE kind IN ('expired', 'deregistered') AND server LIKE 'fleet-%'"
            return [server for (server,) in database.execute(sql)]

    def move_database_away(self):
        """Moves its database away, as an operator does to turn a primary into a standby."""
        old_files = self.folder / "before"
        shutil.rmtree(old_files, ignore_errors=True)
        old_files.mkdir()
        for file in self.folder.glob("*paulina.db*"):
            file.rename(old_files / file.name)


class Fleet:
    """The servers, and their output lines with times."""

    def __init__(self, ttl, *urls):
        command = [FLEET, str(SERVERS), str(ttl), *urls]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        atexit.register(self.process.kill)
        self.lines = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append((time.monotonic(), line.strip()))

    def more(self, count):
        self.process.stdin.write(f"more {count}\n")
        self.process.stdin.flush()

    def time_of(self, line, since):
        """Returns how long after a time it printed this line last, or 0."""
        times = [at - since for at, text in self.lines if text == line and at >= since]
        return max(times, default=0.0)

    def replaced(self):
        return [line for _, line in self.lines if line.endswith(" replaced")]


def promote(machine):
    command = [BINARY, "promote", "--registry", machine.registry.url]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def monitor_list(machine, expected, seconds):
    """Lists the servers of a primary for some seconds. Returns the fewest expected servers in a list, and the time
    until all were listed."""
    end, fewest, complete, begin = time.monotonic() + seconds, len(expected), None, time.monotonic()
    while time.monotonic() < end:
        ids = machine.ids()
        assert len(ids) == len(set(ids)), "an id is listed twice"
        listed = len(expected & set(ids))
        fewest = min(fewest, listed)
        if listed == len(expected):
            complete = complete or time.monotonic() - begin
        elif complete:
            raise AssertionError(f"missing after all were listed: {sorted(expected - set(ids))}")
        time.sleep(0.05)
    assert complete is not None, "not all servers were listed"
    return fewest, complete


def drill(number, ttl):
    shutil.rmtree(FOLDER, ignore_errors=True)
    a, b = Machine("a"), Machine("b")
    a.start(b, standby=False)
    b.start(a, standby=True)
    fleet = Fleet(ttl, a.registry.url, b.registry.url)
    old = {f"fleet-{number}" for number in range(SERVERS)}
    all_servers = {f"fleet-{number}" for number in range(SERVERS + MORE)}
    wait_until(lambda: old <= set(b.ids()), 20, "the standby lists the fleet")
    time.sleep(1.5 * ttl)

    # More servers register shortly before the loss, within the window of lost changes.
    fleet.more(MORE)
    wait_until(lambda: all_servers <= set(a.ids()), 5, "the primary lists the new servers")
    lost_at = time.monotonic()
    a.lose()
    unknown = len(all_servers - set(b.ids()))
    assert b.role() == "standby" and old <= set(b.ids()), "reads must continue"
    time.sleep(DETECTION)
    promoted_at = time.monotonic()
    promote(b)
    took = time.monotonic() - promoted_at
    fewest, complete = monitor_list(b, all_servers, 2 * ttl + 6)
    reading, writing = fleet.time_of("reading works", lost_at), fleet.time_of("writing works", lost_at)
    ended = b.ended_leases()
    assert not ended, f"live servers have expired: {ended}"
    assert fewest >= SERVERS, f"a list had only {fewest} of the replicated servers"
    assert not fleet.replaced(), fleet.replaced()
    print(
        f"run {number}: reads {reading:.2f} s after the loss, writes {writing:.2f} s ({DETECTION:.0f} s until "
        "detection, "
        f"promotion {took:.2f} s); {unknown} of {MORE} new servers not in the copy, all listed {complete:.2f} s after "
        "the promotion; "
        f"lost 0, expired 0, duplicated 0"
    )

    # The lost machine returns. With its database, it refuses to start. Without it, it is a standby.
    refused = subprocess.run(
        [
            BINARY,
            "serve",
            "--listen",
            f"127.0.0.1:{a.registry.port}",
            "--database",
            a.registry.database,
            *a.arguments(b, standby=True),
        ],
        capture_output=True,
        text=True,
        env=environment(NO_COLOR="1"),
    )
    assert refused.returncode == 6 and "serves as a primary" in refused.stderr, refused.stderr
    a.move_database_away()
    a.start(b, standby=True)
    wait_until(lambda: all_servers <= set(a.ids()), 20, "the new standby lists the fleet")
    # A planned switch: the registry stops cleanly, then its sidecar, which uploads the remaining changes.
    b.registry.curl(
        "/v1/servers", method="POST", body={"id": "last", "name": "last", "transport": "stdio", "command": ["x"]}
    )
    stopped_at = time.monotonic()
    b.registry.stop()
    b.sidecar.terminate()
    assert b.sidecar.wait(40) == 0, "the sidecar did not stop cleanly"
    promote(a)
    moved = time.monotonic() - stopped_at
    assert "last" in a.ids(), "the last registration is lost"
    monitor_list(a, all_servers, 2 * ttl + 6)
    writing = fleet.time_of("writing works", stopped_at)
    assert not a.ended_leases(), f"live servers have expired: {a.ended_leases()}"
    assert not fleet.replaced(), fleet.replaced()
    folders = sorted(path.name for path in (FOLDER / "replica-a").iterdir())
    assert folders == ["1", "2"], f"each epoch must have its own folder: {folders}"
    print(
        f"  and back: writes {writing:.2f} s after the stop (promoted after {moved:.2f} s); lost 0, expired 0, "
        "duplicated 0; "
        f"replicas a/{', a/'.join(folders)} and b/1"
    )
    fleet.process.stdin.close()
    fleet.process.wait(20)
    a.lose()
    b.lose()
    return reading, writing, took


def main():
    subprocess.run(["cargo", "build", "--quiet", "--example", "fleet"], check=True, cwd=ROOT)
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    ttl = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    for number in range(1, runs + 1):
        drill(number, ttl)
    print("failover: passed")


if __name__ == "__main__":
    main()
