"""Replication with Litestream: a registry is replicated under load while its sidecar is killed, paused and not
running. The copy equals the original, row by row. Then whole machines are lost, and the test measures which changes
are lost with them.

    python -m replication.under_load [seconds of load]

upload_cost.py measures the cost of replication at the same time.
"""

import atexit
import itertools
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import quantiles

from faults.database import check_file, same_sqlite
from faults.process import fresh_folder
from harness import BINARY
from replication.lost_machines import lose_machines
from replication.machine import Machine, contents
from replication.writers import REFRESHED, Writers, register

SLOW = 1.0  # seconds: no write may take longer
# The registry truncates its WAL to this size. It restarts the WAL before 32 MiB; Litestream, which can prevent that,
# restarts
# it every second. The WAL therefore holds at most that, and the writes in the meantime.
LARGE = 64 << 20
# No process can checkpoint the WAL while a paused Litestream reads it. Bytes a second, twice the rate of these writers.
GROWTH = 24 << 20
CATCH_UP = 3  # seconds: Litestream checks the WAL every second and uploads every second


class WalMonitor(threading.Thread):
    """Checks a write-ahead log fifty times a second: its maximum size, and how often it restarts, which happens when
    the database contains everything in it."""

    def __init__(self, database):
        super().__init__(daemon=True)
        self.path = database.with_name(f"{database.name}-wal")
        self.stopping = threading.Event()
        self.highest, self.restarts, self.seconds = {}, {}, {}
        self.phase = ""

    def number(self):
        """Returns the first salt in its header, which SQLite increments at each restart. An empty WAL has none."""
        with open(self.path, "rb") as log:
            head = log.read(20)
        return int.from_bytes(head[16:], "big") if head else None

    def run(self):
        last, looked = self.number(), time.monotonic()
        while not self.stopping.wait(0.02):
            phase, number, now = self.phase, self.number() or last, time.monotonic()
            self.highest[phase] = max(self.highest.get(phase, 0), self.path.stat().st_size)
            self.restarts[phase] = self.restarts.get(phase, 0) + (number - last) % (1 << 32)
            self.seconds[phase] = self.seconds.get(phase, 0) + now - looked
            last, looked = number, now

    def stop(self):
        self.stopping.set()
        self.join()


class ReplicatedMachine:
    """A machine under load, with the interruptions of its sidecar."""

    def __init__(self, folder, seconds):
        self.machine, self.seconds = Machine(folder / "replicated"), seconds
        self.sidecar = self.machine.sidecar
        self.machine.registry.start()
        register(self.machine.registry.port, [f"refreshed-{number}" for number in range(REFRESHED)])
        self.sidecar.start()
        self.wal = WalMonitor(self.machine.registry.database)
        self.load = None

    def phase(self, name, seconds):
        self.wal.phase = name
        time.sleep(seconds)
        self.load.check()

    def start_again(self, phase):
        self.wal.phase = phase
        self.sidecar.start()

    def pause_sidecar(self):
        """Pauses the sidecar outside its own transactions. Litestream writes to the database for milliseconds at a
        time; paused during a transaction, it would block all other writers."""
        for tries in itertools.count(1):
            self.sidecar.send("SIGSTOP")
            url = f"{self.machine.registry.url}/v1/servers/refreshed-0/refresh"
            command = ["curl", "--silent", "--fail", "--noproxy", "*", "--max-time", "0.3", "--request", "PUT", url]
            if subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0:
                return
            self.sidecar.send("SIGCONT")
            assert tries < 10, "no write gets a response while the sidecar is paused"
            time.sleep(random.random())

    def run(self):
        self.load = Writers(self.machine.registry.port, "replicated")
        self.wal.start()
        end, part = time.monotonic() + self.seconds, self.seconds / 100
        self.phase("running", 10 * part)
        for name in ["SIGKILL", "SIGTERM", "SIGKILL"] if self.seconds < 60 else ["SIGKILL", "SIGTERM"] * 4:
            self.sidecar.end(name)
            self.phase("stopped", random.random())
            self.start_again("running")
            self.phase("running", 2 * part)
        self.pause_sidecar()
        stopped = min(8, 10 * part)
        self.phase("paused", stopped)
        self.sidecar.send("SIGCONT")
        self.phase("continued", 5 * part)
        self.sidecar.end()
        self.phase("stopped for long", 25 * part)
        self.start_again("running again")
        self.phase("running again", max(2, end - time.monotonic()))
        records = self.load.stop()
        self.wal.stop()
        self.report(records)
        self.check(records, stopped)

    def report(self, records):
        seconds = self.load.seconds
        requests = sum(len(waits) for one in records for waits in one.waits.values())
        leases, changes = sum(one.refreshed for one in records), sum(len(one.changes) for one in records)
        print(
            f"{seconds:.0f} s of load, all of it acknowledged: {leases / seconds:.0f} leases refreshed and "
            f"{changes / seconds:.0f} servers registered or deregistered a second, by {requests / seconds:.0f} requests"
        )
        for kind in records[0].waits:
            waits = sorted(wait * 1e3 for one in records for wait in one.waits[kind])
            cuts = quantiles(waits, n=100)
            print(f"  {kind}: {len(waits)}, p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms, slowest {waits[-1]:.0f} ms")
        print("state of the sidecar: maximum MiB of the WAL, its restarts, seconds")
        for phase, seconds in self.wal.seconds.items():
            print(f"  {phase}: {self.wal.highest[phase] >> 20}, {self.wal.restarts[phase]}, {seconds:.0f}")
        print(f"Litestream reports {self.sidecar.checkpoints()} complete checkpoints", flush=True)

    def check(self, records, stopped):
        slowest = max(wait for one in records for waits in one.waits.values() for wait in waits)
        assert slowest < SLOW, f"a write took {slowest:.2f} s"
        for phase, size in self.wal.highest.items():
            after = phase in ("paused", "continued", "stopped for long")
            limit = LARGE + (GROWTH * stopped if after else 0)
            assert size <= limit, f"the WAL grew to {size >> 20} MiB with the sidecar {phase}"
        # In this phase, no other process can checkpoint.
        assert self.wal.restarts["stopped for long"] > 0, "the registry has not checkpointed its WAL"
        assert self.sidecar.checkpoints() > 0, "Litestream has not checkpointed the WAL"

    def compare(self, what):
        """Compares the copy to the original after all writes."""
        time.sleep(CATCH_UP)
        original = self.machine.registry.database
        copy = original.with_name("copy.db")
        copy.unlink(missing_ok=True)
        self.sidecar.restore(copy)
        (schema, rows), (copied_schema, copied) = contents(original), contents(copy)
        differing = [table for table in rows if rows[table] != copied.get(table)]
        assert not differing, f"{what}: these tables differ: {differing}"
        assert schema == copied_schema, f"{what}: the schema differs"
        check_file(copy)
        counts = ", ".join(f"{table} {len(rows)}" for table, rows in rows.items() if rows)
        return f"{len(rows)} tables are equal row by row, and so is the schema: {counts}"

    def tokens(self, *arguments):
        command = [BINARY, "token", arguments[0], "--database", self.machine.registry.database, *arguments[1:]]
        subprocess.run(command, check=True, capture_output=True)

    def missed_restart(self, rounds):
        """The sidecar does not run while a few servers are registered and the WAL restarts. The frames that it saw
        last are still in the file, after the newer frames: without help, Litestream would take them for the missed
        changes."""
        port, log = self.machine.registry.port, WalMonitor(self.machine.registry.database)
        for round, name in zip(range(rounds), itertools.cycle(["SIGTERM", "SIGKILL"])):
            before = None
            for tries in itertools.count():
                if log.number() == before:
                    break  # Litestream has seen the changes, and has not checkpointed them
                assert tries < 4, "Litestream checkpoints the WAL for ten servers, so this proves nothing"
                before = log.number()
                register(port, [f"seen-{round}-{tries}-{number}" for number in range(10)])
                time.sleep(CATCH_UP)
            self.sidecar.end(name)
            for number in itertools.count(1):
                register(port, [f"missed-{round}-{number}"])
                if log.number() != before:
                    break
                assert number < 100, "the WAL was not restarted, so this proves nothing"
                time.sleep(0.05)
            self.sidecar.start()
            register(port, [f"after-{round}"])
            self.compare(f"stopped by {name} while {number} servers were registered")
            print(f"stopped by {name} while {number} servers were registered: equal", flush=True)


def main():
    same_sqlite()
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 120
    short = seconds < 60
    cost = subprocess.Popen(
        [sys.executable, "-m", "replication.upload_cost", "30" if short else "90"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    atexit.register(cost.terminate)
    folder = fresh_folder("litestream")
    replicated = ReplicatedMachine(folder, seconds)
    atexit.register(replicated.sidecar.end)
    replicated.run()
    replicated.tokens("create", "--name", "ci", "--role", "register")
    print("restored after all writes:", replicated.compare("after the load"), flush=True)
    replicated.tokens("revoke", "--name", "ci")
    replicated.missed_restart(1 if short else 4)
    replicated.sidecar.end("SIGTERM")
    replicated.machine.registry.stop()
    lose_machines(folder, 3 if short else 5)
    output, _ = cost.communicate()
    print(output, end="")
    assert cost.returncode == 0, "upload_cost failed"
    print("litestream: passed")


if __name__ == "__main__":
    main()
