"""Living with Litestream: a registry is replicated under load while its sidecar is killed, stopped and away, and the copy is
the original, row by row; machines are lost with all that runs on them, and it is seen what is lost with them.

    litestream.py [seconds of load]

What replication costs is measured beside that, see litestream_cost.py.
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

from litestream_lost import lose_machines
from replica import Machine, contents
from writers import BEATING, Writers, register

sys.path.append(str(Path(__file__).resolve().parent / "faults"))
from process import BINARY, check_file, fresh_folder, same_sqlite  # noqa: E402

SLOW = 1.0  # seconds that no write may take
# The registry cuts its log back to so much. It begins it anew before it has 32 MiB, and Litestream, which keeps the registry
# from that, every second: there is no more than that in it, and what is written meanwhile.
LARGE = 64 << 20
# Nobody can fold the log while a Litestream that stands still reads it. Bytes a second, twice what these writers write.
GROWTH = 24 << 20
CAUGHT_UP = 3  # seconds: Litestream looks every second and uploads every second


class Log(threading.Thread):
    """Looks at a write-ahead log fifty times a second: how large it becomes, and how often it is begun anew, which is when
    all that was in it is in the database."""

    def __init__(self, database):
        super().__init__(daemon=True)
        self.path = database.with_name(f"{database.name}-wal")
        self.stopping = threading.Event()
        self.highest, self.begun, self.seconds = {}, {}, {}
        self.phase = ""

    def number(self):
        """The first salt in its head: SQLite adds one to it whenever it begins the log anew. An empty log has none."""
        with open(self.path, "rb") as log:
            head = log.read(20)
        return int.from_bytes(head[16:], "big") if head else None

    def run(self):
        last, looked = self.number(), time.monotonic()
        while not self.stopping.wait(0.02):
            phase, number, now = self.phase, self.number() or last, time.monotonic()
            self.highest[phase] = max(self.highest.get(phase, 0), self.path.stat().st_size)
            self.begun[phase] = self.begun.get(phase, 0) + (number - last) % (1 << 32)
            self.seconds[phase] = self.seconds.get(phase, 0) + now - looked
            last, looked = number, now

    def stop(self):
        self.stopping.set()
        self.join()


class Living:
    """A machine under load, and what becomes of its sidecar."""

    def __init__(self, folder, seconds):
        self.machine, self.seconds = Machine(folder / "living"), seconds
        self.sidecar = self.machine.sidecar
        self.machine.registry.start()
        register(self.machine.registry.port, [f"beating-{number}" for number in range(BEATING)])
        self.sidecar.start()
        self.log = Log(self.machine.registry.database)
        self.load = None

    def phase(self, name, seconds):
        self.log.phase = name
        time.sleep(seconds)
        self.load.check()

    def start_again(self, phase):
        self.log.phase = phase
        self.sidecar.start()

    def stop_sidecar(self):
        """Where it holds up nobody: Litestream writes to the database, too, for milliseconds, and whoever stops it there
        stops all writers, as with any program that has a transaction open."""
        for tries in itertools.count(1):
            self.sidecar.send("SIGSTOP")
            url = f"{self.machine.registry.url}/v1/servers/beating-0/refresh"
            asked = ["curl", "--silent", "--fail", "--noproxy", "*", "--max-time", "0.3", "--request", "PUT", url]
            if subprocess.run(asked, stdout=subprocess.DEVNULL).returncode == 0:
                return
            self.sidecar.send("SIGCONT")
            assert tries < 10, "no write is answered while the sidecar is stopped"
            time.sleep(random.random())

    def run(self):
        self.load = Writers(self.machine.registry.port, "living")
        self.log.start()
        end, part = time.monotonic() + self.seconds, self.seconds / 100
        self.phase("running", 10 * part)
        for name in ["SIGKILL", "SIGTERM", "SIGKILL"] if self.seconds < 60 else ["SIGKILL", "SIGTERM"] * 4:
            self.sidecar.end(name)
            self.phase("away", random.random())
            self.start_again("running")
            self.phase("running", 2 * part)
        self.stop_sidecar()
        stopped = min(8, 10 * part)
        self.phase("stopped", stopped)
        self.sidecar.send("SIGCONT")
        self.phase("continued", 5 * part)
        self.sidecar.end()
        self.phase("away for long", 25 * part)
        self.start_again("running at last")
        self.phase("running at last", max(2, end - time.monotonic()))
        told = self.load.stop()
        self.log.stop()
        self.tell(told)
        self.check(told, stopped)

    def tell(self, told):
        seconds = self.load.seconds
        requests = sum(len(waits) for one in told for waits in one.waits.values())
        leases, changes = sum(one.refreshed for one in told), sum(len(one.changes) for one in told)
        print(f"{seconds:.0f} s of load, all of it acknowledged: {leases / seconds:.0f} leases refreshed and "
              f"{changes / seconds:.0f} servers registered or taken out a second, by {requests / seconds:.0f} requests")
        for kind in told[0].waits:
            waits = sorted(wait * 1e3 for one in told for wait in one.waits[kind])
            cuts = quantiles(waits, n=100)
            print(f"  {kind}: {len(waits)}, p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms, slowest {waits[-1]:.0f} ms")
        print("with the sidecar …: MiB of the log at most, how often it was begun anew, in how many seconds")
        for phase, seconds in self.log.seconds.items():
            print(f"  {phase}: {self.log.highest[phase] >> 20}, {self.log.begun[phase]}, {seconds:.0f}")
        print(f"Litestream says that it has folded the whole log {self.sidecar.checkpoints()} times", flush=True)

    def check(self, told, stopped):
        slowest = max(wait for one in told for waits in one.waits.values() for wait in waits)
        assert slowest < SLOW, f"a write took {slowest:.2f} s"
        for phase, size in self.log.highest.items():
            after = phase in ("stopped", "continued", "away for long")
            limit = LARGE + (GROWTH * stopped if after else 0)
            assert size <= limit, f"the log came to {size >> 20} MiB with the sidecar {phase}"
        # Nobody else is there who could.
        assert self.log.begun["away for long"] > 0, "the registry has not folded its log"
        assert self.sidecar.checkpoints() > 0, "Litestream has not folded the log"

    def compare(self, what):
        """The copy is the original, once nobody writes."""
        time.sleep(CAUGHT_UP)
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

    def quiet(self, rounds):
        """The sidecar is away while a few servers come. What it has seen last still lies in the log then, beyond what was
        written since the log was begun anew: Litestream by itself takes that for all that it has missed."""
        port, log = self.machine.registry.port, Log(self.machine.registry.database)
        for round, name in zip(range(rounds), itertools.cycle(["SIGTERM", "SIGKILL"])):
            before = None
            for tries in itertools.count():
                if log.number() == before:
                    break  # Litestream has seen what came, and has not folded it
                assert tries < 4, "Litestream folds the log for ten servers: this proves nothing"
                before = log.number()
                register(port, [f"seen-{round}-{tries}-{number}" for number in range(10)])
                time.sleep(CAUGHT_UP)
            self.sidecar.end(name)
            for number in itertools.count(1):
                register(port, [f"missed-{round}-{number}"])
                if log.number() != before:
                    break
                assert number < 100, "the log was not begun anew: this proves nothing"
                time.sleep(0.05)
            self.sidecar.start()
            register(port, [f"after-{round}"])
            self.compare(f"away from {name} on while {number} servers came")
            print(f"away from {name} on while {number} servers came: equal", flush=True)


def main():
    same_sqlite()
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 120
    short = seconds < 60
    cost = subprocess.Popen([sys.executable, "litestream_cost.py", "30" if short else "90"], stdout=subprocess.PIPE, text=True,
                            cwd=Path(__file__).parent)
    atexit.register(cost.terminate)
    folder = fresh_folder("litestream")
    living = Living(folder, seconds)
    atexit.register(living.sidecar.end)
    living.run()
    living.tokens("create", "--name", "ci", "--role", "register")
    print("restored once nobody writes:", living.compare("after the load"), flush=True)
    living.tokens("revoke", "--name", "ci")
    living.quiet(1 if short else 4)
    living.sidecar.end("SIGTERM")
    living.machine.registry.stop()
    lose_machines(folder, 3 if short else 5)
    said, _ = cost.communicate()
    print(said, end="")
    assert cost.returncode == 0, "litestream_cost.py failed"
    print("litestream: passed")


if __name__ == "__main__":
    main()
