"""The binary under faults: started with the shim, killed and stopped at any time."""

import atexit
import http.client
import shutil
import signal
import subprocess
import time

from faults.shim import Shim
from harness import BINARY, WORK, Registry, environment

FAULTS = WORK.resolve() / "faults"


def fresh_folder(name):
    folder = FAULTS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


class Process(Registry):
    """`paulina serve`, with the environment of a shim if there is one. It logs to a file next to its folder."""

    def __init__(self, database, *arguments, shim=None):
        super().__init__(database, *arguments)
        self.shim = shim
        self.log = self.database.parent.with_suffix(".log")
        atexit.register(self.end)

    def launch(self):
        """Starts the process without waiting."""
        command = [BINARY, "serve", "--listen", f"127.0.0.1:{self.port}", "--database", self.database]
        extra = self.shim.environment if self.shim else {}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*command, *self.arguments], stderr=log, env=environment(**extra))

    def start(self):
        """Starts the process and returns the seconds until it was ready."""
        begin = time.monotonic()
        self.launch()
        while not self.is_ready():
            assert self.process.poll() is None, f"the registry did not start; see {self.log}"
            assert time.monotonic() < begin + 20, "the registry is not ready after 20 s"
            time.sleep(0.002)
        return time.monotonic() - begin

    def is_ready(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def killed_while_starting(self, seconds):
        self.launch()
        time.sleep(seconds)
        self.kill()

    def send(self, name):
        self.process.send_signal(signal.Signals[name])

    def end(self):
        """Kills the process if it runs: cleanup for a test that may have failed."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def copy(self, folder):
        """Copies the files of the database except `-shm`, which never survives a power loss."""
        folder.mkdir(parents=True)
        for path in self.database.parent.iterdir():
            if path.name.startswith(self.database.name) and not path.name.endswith("-shm"):
                shutil.copyfile(path, folder / path.name)


def under_shim(name, **options):
    """Returns a process with a shim, whose database is in a new folder."""
    folder = fresh_folder(name)
    database = folder / "now" / "paulina.db"
    database.parent.mkdir()
    return Process(database, shim=Shim(folder / "shim", database, **options))
