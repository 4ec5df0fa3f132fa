"""What all tests share: the release binary as a process, and calls to it with curl and sqlite3.

The tests start as modules, from the folder tests/e2e: `python -m faults.crash`. PAULINA_BINARY selects another binary.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "e2e"
BINARY = Path(os.environ.get("PAULINA_BINARY", ROOT / "target" / "release" / "paulina")).resolve()
LITESTREAM = WORK / "venv-sdk/bin/litestream"

# A shell starts background commands with SIGINT ignored, and their children inherit that. Some tests send SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
# `atexit` does not run after SIGTERM by default: without this, a terminated test leaves its processes behind.
signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Registry:
    """`paulina serve` on a fixed port and file, which can be killed and started again."""

    def __init__(self, database, *arguments):
        self.database, self.arguments, self.port = Path(database), arguments, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        """Starts the process and returns the seconds until it was ready."""
        begin = time.monotonic()
        command = [BINARY, "serve", "--listen", f"127.0.0.1:{self.port}", "--database", self.database]
        log = open(self.database.with_suffix(".log"), "ab")
        self.process = subprocess.Popen([*command, *self.arguments], stderr=log)
        while self.curl("/readyz", fail=False) is None:
            assert self.process.poll() is None, "the registry did not start; see its log"
            assert time.monotonic() < begin + 20, "the registry is not ready after 20 s"
            time.sleep(0.002)
        return time.monotonic() - begin

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, "the registry did not stop cleanly"

    def resident_mib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def curl(self, path, *, method=None, body=None, fail=True):
        """Makes one call with curl. Returns the JSON, or None if no response with status 2xx came."""
        command = ["curl", "--silent", "--fail-with-body", "--noproxy", "*", self.url + path]
        if method:
            command += ["--request", method]
        if body is not None:
            command += ["--header", "content-type: application/json", "--data-binary", "@-"]
        text = json.dumps(body) if body is not None else None
        done = subprocess.run(command, input=text, capture_output=True, text=True)
        if done.returncode == 0:
            return json.loads(done.stdout) if done.stdout else {}
        assert not fail, f"{command}: {done.stdout}"
        return None

    def ids(self, query):
        """Returns the ids of the servers that a query finds."""
        return [server["id"] for server in self.curl(f"/v1/servers?{query}")["servers"]]


def start_registry(folder, *arguments):
    """Starts a registry in a new folder. It is killed when the test exits."""
    folder.mkdir(parents=True)
    registry = Registry(folder / "paulina.db", *arguments)
    registry.start()
    atexit.register(lambda: registry.process.poll() is None and registry.kill())
    return registry


def create_token(registry, name, role):
    """Creates a token with the command line and returns its secret."""
    command = [BINARY, "token", "create", "--database", registry.database, "--name", name, "--role", role]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]


def sqlite3(database, sql):
    """Returns the output of the command sqlite3, opened read-only as docs/operations.md recommends."""
    command = ["sqlite3", "-readonly", "-header", "-column", database, sql]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def environment(**extra):
    return {**os.environ, **extra}


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.05)
