"""The failover drill: a primary, a standby, 200 servers whose clients know both; the primary's machine is lost, the standby
is promoted, and then the way back. Arguments say how many times, and with which ttl.

The machine is lost: the registry and its Litestream are killed at once. The operator takes a second to see it.
"""

import atexit
import os
import queue
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import threading
import time

from paulina import BINARY, ROOT, WORK, Registry, environment, wait_until

LITESTREAM = WORK / "venv-sdk/bin/litestream"
FLEET = ROOT / "target/debug/examples/fleet"
FOLDER = WORK / "failover"
SERVERS, MORE = 200, 10
TTL = int(sys.argv[2]) if len(sys.argv) > 2 else 10
SEES_IT = 1.0


class Machine:
    """One of the pair: a registry and the sidecar that replicates it. What the other one needs to know is its URL."""

    def __init__(self, name):
        self.folder = FOLDER / name
        self.folder.mkdir(parents=True)
        self.replica = f"file://{FOLDER}/replica-{name}"
        self.registry = Registry(self.folder / "paulina.db", "--litestream", LITESTREAM)
        self.sidecar = None

    def arguments(self, other, *, standby):
        own = ["--litestream", LITESTREAM, "--peer", other.registry.url]
        return [*own, "--standby", "--restore-from", other.replica, "--restore-interval", "1s"] if standby else own

    def start(self, other, *, standby):
        self.registry.arguments = self.arguments(other, standby=standby)
        self.registry.start()
        if self.sidecar is None or self.sidecar.poll() is not None:
            command = [BINARY, "replicate", "--database", self.registry.database, "--to", self.replica,
                       "--litestream", LITESTREAM]
            log = open(self.folder / "replicate.log", "ab")
            self.sidecar = subprocess.Popen(command, stderr=log, stdout=log, start_new_session=True)
            atexit.register(self.lose)

    def lose(self):
        """All that runs there is killed at once."""
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

    def ended(self):
        """How many of the fleet's leases have run out, or were taken, as the registry itself has recorded it."""
        with sqlite3.connect(f"file:{self.registry.database}?mode=ro", uri=True) as database:
            sql = "SELECT server FROM changes WHERE kind IN ('expired', 'deregistered') AND server LIKE 'fleet-%'"
            return [server for (server,) in database.execute(sql)]

    def set_aside(self):
        """Moves its database away, as an operator does who makes a standby of what was a primary."""
        aside = self.folder / "before"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        for file in self.folder.glob("*paulina.db*"):
            file.rename(aside / file.name)


class Fleet:
    """The servers, and what they say: (when, what)."""

    def __init__(self, *urls):
        command = [FLEET, str(SERVERS), str(TTL), *urls]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        atexit.register(self.process.kill)
        self.said, self.lines = queue.Queue(), []
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            self.lines.append((time.monotonic(), line.strip()))

    def more(self, count):
        self.process.stdin.write(f"more {count}\n")
        self.process.stdin.flush()

    def time_of(self, line, since):
        """How long after a moment it said this last; 0 if it never stopped doing so."""
        times = [at - since for at, said in self.lines if said == line and at >= since]
        return max(times, default=0.0)

    def replaced(self):
        return [line for _, line in self.lines if line.endswith(" replaced")]


def promote(machine):
    command = [BINARY, "promote", "--registry", machine.registry.url]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def watch_over(machine, expected, seconds):
    """Looks at what a primary lists for a while: the fewest of the expected, and whether any id is there twice."""
    end, fewest, complete, begin = time.monotonic() + seconds, len(expected), None, time.monotonic()
    while time.monotonic() < end:
        ids = machine.ids()
        assert len(ids) == len(set(ids)), "an id is there twice"
        there = len(expected & set(ids))
        fewest = min(fewest, there)
        if there == len(expected):
            complete = complete or time.monotonic() - begin
        elif complete:
            raise AssertionError(f"missing, once all were there: {sorted(expected - set(ids))}")
        time.sleep(0.05)
    assert complete is not None, "not all came back"
    return fewest, complete


def drill(number):
    shutil.rmtree(FOLDER, ignore_errors=True)
    a, b = Machine("a"), Machine("b")
    a.start(b, standby=False)
    b.start(a, standby=True)
    fleet = Fleet(a.registry.url, b.registry.url)
    old = {f"fleet-{number}" for number in range(SERVERS)}
    all_of_them = {f"fleet-{number}" for number in range(SERVERS + MORE)}
    wait_until(lambda: old <= set(b.ids()), 20, "the standby lists the fleet")
    time.sleep(1.5 * TTL)

    # Some come within the window that is lost.
    fleet.more(MORE)
    wait_until(lambda: all_of_them <= set(a.ids()), 5, "the primary lists the newcomers")
    lost_at = time.monotonic()
    a.lose()
    unknown = len(all_of_them - set(b.ids()))
    assert b.role() == "standby" and old <= set(b.ids()), "reads go on"
    time.sleep(SEES_IT)
    asked_at = time.monotonic()
    promote(b)
    took = time.monotonic() - asked_at
    fewest, complete = watch_over(b, all_of_them, 2 * TTL + 6)
    reading, writing = fleet.time_of("reading works", lost_at), fleet.time_of("writing works", lost_at)
    ended = b.ended()
    assert not ended, f"these live, and have expired: {ended}"
    assert fewest >= SERVERS, f"only {fewest} of those that were copied were there at some time"
    assert not fleet.replaced(), fleet.replaced()
    print(f"run {number}: reads {reading:.2f} s after the loss, writes {writing:.2f} s ({SEES_IT:.0f} s until somebody sees it, "
          f"promotion {took:.2f} s); in no copy {unknown} of {MORE} newcomers, all back {complete:.2f} s after the promotion; "
          f"lost 0, expired 0, twice 0")

    # The lost machine comes back: as it was, it is refused; its database set aside, it is a standby.
    refused = subprocess.run([BINARY, "serve", "--listen", f"127.0.0.1:{a.registry.port}", "--database", a.registry.database,
                              *a.arguments(b, standby=True)], capture_output=True, text=True, env=environment(NO_COLOR="1"))
    assert refused.returncode == 6 and "serves as a primary" in refused.stderr, refused.stderr
    a.set_aside()
    a.start(b, standby=True)
    wait_until(lambda: all_of_them <= set(a.ids()), 20, "the other way round, the standby lists the fleet")
    # Planned: the registry ends in order, and then its sidecar, which uploads what is left.
    b.registry.curl("/v1/servers", method="POST", body={"id": "last", "name": "last", "transport": "stdio", "command": ["x"]})
    stopped_at = time.monotonic()
    b.registry.stop()
    b.sidecar.terminate()
    assert b.sidecar.wait(40) == 0, "the sidecar ends in order"
    promote(a)
    moved = time.monotonic() - stopped_at
    assert "last" in a.ids(), "nothing is lost"
    watch_over(a, all_of_them, 2 * TTL + 6)
    writing = fleet.time_of("writing works", stopped_at)
    assert not a.ended(), f"these live, and have expired: {a.ended()}"
    assert not fleet.replaced(), fleet.replaced()
    folders = sorted(path.name for path in (FOLDER / "replica-a").iterdir())
    assert folders == ["1", "2"], f"each epoch has a folder of its own, and these are {folders}"
    print(f"  and back: writes {writing:.2f} s after the stop (promoted after {moved:.2f} s); lost 0, expired 0, twice 0; "
          f"replicas a/{', a/'.join(folders)} and b/1")
    fleet.process.stdin.close()
    fleet.process.wait(20)
    a.lose()
    b.lose()
    return reading, writing, took


def main():
    subprocess.run(["cargo", "build", "--quiet", "--example", "fleet"], check=True, cwd=ROOT)
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    for number in range(1, runs + 1):
        drill(number)
    print("failover: passed")


if __name__ == "__main__":
    main()
