"""A machine with a registry and its sidecar, and the content of their replica."""

import os
import re
import signal
import subprocess
import time

from faults.database import reading
from faults.process import Process
from harness import BINARY, LITESTREAM, ROOT, environment, wait_until

CONFIG = ROOT / "deploy/litestream.yml"


class Sidecar:
    """`paulina replicate` and its Litestream, which are killed, stopped and continued together."""

    def __init__(self, database, config):
        self.database, self.config = database, config
        self.replica = database.parent.with_name(f"{database.parent.name}-replica")
        self.log = database.parent.with_name(f"{database.parent.name}-sidecar.log")
        self.process = None

    def launch(self):
        """Starts it without waiting."""
        command = [
            BINARY,
            "replicate",
            "--database",
            self.database,
            "--to",
            f"file://{self.replica}",
            "--config",
            self.config,
            "--litestream-bin",
            LITESTREAM,
        ]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, env=environment(LOG_LEVEL="debug")
            )

    def start(self):
        """Starts it and waits for a new file in the replica."""
        before = self.files().keys()
        self.launch()
        wait_until(lambda: self.files().keys() - before, 40, f"a new file in {self.replica}, see {self.log}")

    def send(self, name):
        os.killpg(self.process.pid, signal.Signals[name])

    def end(self, name="SIGKILL"):
        if self.process is not None and self.process.poll() is None:
            self.send(name)
            self.process.wait()

    def files(self):
        """Returns the files of the replica with their sizes."""
        sizes = {}
        for path in self.replica.glob("*/ltx/*/*.ltx"):
            try:
                sizes[path] = path.stat().st_size
            except FileNotFoundError:  # compacted in the meantime
                pass
        return sizes

    def checkpoints(self):
        """Returns how often Litestream logged a complete checkpoint: result=busy,frames,checkpointed."""
        results = re.findall(r"msg=checkpoint .*result=\d+,(\d+),(\d+)", self.log.read_text())
        return sum(frames == checkpointed != "0" for frames, checkpointed in results)

    def restore(self, to):
        """Restores the replica of the first epoch into a file."""
        subprocess.run([LITESTREAM, "restore", "-o", to, f"file://{self.replica}/1"], check=True, capture_output=True)


class Machine:
    """A registry and its sidecar, in their own folder."""

    def __init__(self, folder, config=CONFIG):
        folder.mkdir(parents=True, exist_ok=True)
        self.registry = Process(folder / "paulina.db")
        self.sidecar = Sidecar(folder / "paulina.db", config)

    def lose(self):
        """Kills all its processes at once. Returns the time."""
        self.sidecar.send("SIGKILL")
        self.registry.send("SIGKILL")
        when = time.monotonic()
        self.sidecar.process.wait()
        self.registry.process.wait()
        return when


def contents(database):
    """Returns the schema and all rows of all tables, including those of the full-text search."""
    connection = reading(database)
    connection.execute("BEGIN")
    schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name").fetchall()
    tables = [name for type, name, _, sql in schema if type == "table" and not sql.startswith("CREATE VIRTUAL")]
    rows = {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in tables}
    connection.close()
    return schema, rows
