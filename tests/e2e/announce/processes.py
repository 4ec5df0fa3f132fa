"""Processes that the tests start: announcements, servers behind HTTP, and servers called with JSON-RPC."""

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from harness import BINARY, ROOT, WORK, environment, wait_until

TTL = 4
FOLDER = WORK / "announce"
FILES = FOLDER / "files"
NPM = WORK / "node_modules/.bin"
OLDER = [WORK / "venv-older/bin/python", ROOT / "tests/e2e/fixtures/older_sdk_books.py"]
BROKEN = [sys.executable, ROOT / "tests/e2e/fixtures/broken_server.py"]
EVERYTHING = [NPM / "mcp-server-everything"]
FILESYSTEM = [NPM / "mcp-server-filesystem", FILES]
MEMORY = [NPM / "mcp-server-memory"]


def seconds_until(condition, seconds, what):
    """Returns the seconds until the condition holds."""
    begin = time.monotonic()
    wait_until(condition, seconds, what)
    return time.monotonic() - begin


def paulina(*arguments):
    """Runs a command of Paulina and returns its output."""
    done = subprocess.run([BINARY, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"paulina {arguments}: exit code {done.returncode}: {done.stderr}"
    return done.stdout


def find_ids(*arguments):
    return paulina("find", *arguments, "--output", "ids").split()


def registered():
    return {server["id"]: server for server in json.loads(paulina("ls", "--output", "json"))}


def is_alive(process):
    """Whether this process runs. A process that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def processes_with(mark):
    """Returns the processes that have this string among their arguments."""
    processes = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes().split(b"\0"):
                processes.append(int(path.parent.name))
    return processes


class Process:
    """A program in the background that logs to a file. With `pipes`, its input and output are pipes to the test."""

    def __init__(self, name, words, *, pipes=False, **variables):
        self.log = FOLDER / f"{name}.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(word) for word in words],
                stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipes else log,
                stderr=log,
                env=environment(**variables),
            )
        atexit.register(self.kill)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def exit_code(self, what):
        """Waits for the end of the process and returns its exit code."""
        try:
            return self.process.wait(5)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{what} does not exit; see {self.log}") from None


class Announcement(Process):
    """`paulina announce` of a command, or of a URL (`--url`)."""

    def __init__(self, name, target, **variables):
        target = target if target[0] == "--url" else ["--", *target]
        words = [BINARY, "announce", "--id", name, "--ttl", TTL, "--tag", "e2e", *target]
        super().__init__(name, words, pipes=True, **variables)
        self.name = name

    def children(self):
        """Returns its child processes, each with its process group."""
        children = {}
        for task in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):  # The process has ended in the meantime.
                for child in map(int, task.read_text().split()):
                    children[child] = os.getpgid(child)
        return children

    def servers(self):
        """Returns the announced server process, if any. The process that is only inspected has its own process
        group."""
        return [child for child, group in self.children().items() if group == os.getpgid(0)]

    def kill(self):
        """Kills the announcement first, so that it cannot notice the end of its server, and then the server."""
        servers = self.servers() if self.process.poll() is None else []
        super().kill()
        for server in servers:
            os.kill(server, signal.SIGKILL)


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2):
        return True
    return False


def notes_server(port):
    return Process(
        "notes-server", [WORK / "venv-fastmcp/bin/python", ROOT / "tests/e2e/fixtures/fastmcp_notes.py", port]
    )


def request(number, method, **params):
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def call(number, tool, **arguments):
    return request(number, "tools/call", name=tool, arguments=arguments)


INITIALIZE = [
    request(1, "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "e2e", "version": "1"}),
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
]


class JsonRpcServer(Process):
    """A server that the test calls with raw JSON-RPC."""

    def __init__(self, name, words):
        super().__init__(name, words, pipes=True)

    def send(self, message):
        """Sends a message. For a request, returns all bytes up to and including its response."""
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()
        received = b""
        while "id" in message:
            line = self.process.stdout.readline()
            assert line, f"the server has closed its output; see {self.log}"
            received += line
            if json.loads(line).get("id") == message["id"]:
                break
        return received

    def conversation(self, messages):
        """Returns all output for these messages, and the exit code after the end of input."""
        received = b"".join(map(self.send, messages))
        self.process.stdin.close()
        return received + self.process.stdout.read(), self.exit_code("a server after the end of input")
