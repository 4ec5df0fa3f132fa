"""The release binary as a process, and curl, as its users have them."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "e2e"
BINARY = ROOT / "target" / "release" / "paulina"

# A shell starts background commands with SIGINT ignored, and their children inherit that. The tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Registry:
    """`paulina serve` on one port and one file, to be killed and started again."""

    def __init__(self, database, *arguments):
        self.database, self.arguments, self.port = Path(database), arguments, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        """Starts it and returns the seconds until it was ready."""
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
        assert self.process.wait(20) == 0, "the registry did not end in order"

    def resident_mib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def curl(self, path, *, method=None, body=None, fail=True):
        """One call by curl; its JSON, or None if nothing answered with 2xx."""
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
        """The ids that a query finds."""
        return [server["id"] for server in self.curl(f"/v1/servers?{query}")["servers"]]


def sqlite3(database, sql):
    """What the command sqlite3 prints, read-only as the README advises."""
    command = ["sqlite3", "-readonly", "-header", "-column", database, sql]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def environment(**extra):
    return {**os.environ, **extra}


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.05)
