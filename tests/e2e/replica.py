"""What the tests of replication share: a machine with a registry and its sidecar, and what lies in the replica."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import paulina

sys.path.append(str(Path(__file__).resolve().parent / "faults"))
from process import BINARY, Process, reading  # noqa: E402

LITESTREAM = paulina.WORK / "venv-sdk/bin/litestream"
CONFIG = paulina.ROOT / "deploy/litestream.yml"


class Sidecar:
    """`paulina replicate` and the Litestream that it runs: killed, stopped and continued together."""

    def __init__(self, database, config):
        self.database, self.config = database, config
        self.replica = database.parent.with_name(f"{database.parent.name}-replica")
        self.log = database.parent.with_name(f"{database.parent.name}-sidecar.log")
        self.process = None

    def launch(self):
        """Starts it and does not wait."""
        command = [BINARY, "replicate", "--database", self.database, "--to", f"file://{self.replica}", "--config",
                   self.config, "--litestream", LITESTREAM]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True,
                                            env=paulina.environment(LOG_LEVEL="debug"))

    def start(self):
        """Starts it and waits until there is something new in the replica."""
        before = self.parts().keys()
        self.launch()
        paulina.wait_until(lambda: self.parts().keys() - before, 40, f"something new in {self.replica}, see {self.log}")

    def send(self, name):
        os.killpg(self.process.pid, signal.Signals[name])

    def end(self, name="SIGKILL"):
        if self.process is not None and self.process.poll() is None:
            self.send(name)
            self.process.wait()

    def parts(self):
        """What lies in the replica: each part with its size."""
        sizes = {}
        for path in self.replica.glob("*/ltx/*/*.ltx"):
            try:
                sizes[path] = path.stat().st_size
            except FileNotFoundError:  # compacted meanwhile
                pass
        return sizes

    def checkpoints(self):
        """How often its Litestream has folded the whole log into the database, as it says: result=busy,frames,folded."""
        results = re.findall(r"msg=checkpoint .*result=\d+,(\d+),(\d+)", self.log.read_text())
        return sum(frames == folded != "0" for frames, folded in results)

    def restore(self, to):
        """The replica of the first epoch, as a file."""
        subprocess.run([LITESTREAM, "restore", "-o", to, f"file://{self.replica}/1"], check=True, capture_output=True)


class Machine:
    """A registry and its sidecar, in a folder of their own."""

    def __init__(self, folder, config=CONFIG):
        folder.mkdir(parents=True, exist_ok=True)
        self.registry = Process(folder / "paulina.db")
        self.sidecar = Sidecar(folder / "paulina.db", config)

    def lose(self):
        """All that runs there is killed at once; returns when."""
        self.sidecar.send("SIGKILL")
        self.registry.send("SIGKILL")
        when = time.monotonic()
        self.sidecar.process.wait()
        self.registry.process.wait()
        return when


def contents(database):
    """The schema, and all rows of all tables, those of the full text among them."""
    connection = reading(database)
    connection.execute("BEGIN")
    schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name").fetchall()
    tables = [name for type, name, _, sql in schema if type == "table" and not sql.startswith("CREATE VIRTUAL")]
    rows = {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in tables}
    connection.close()
    return schema, rows
