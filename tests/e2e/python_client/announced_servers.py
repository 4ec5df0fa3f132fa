"""Servers of three SDKs that announce themselves: registered with all their capabilities, deregistered when they
exit, and never blocked by a registry that does not respond.

    python -m python_client.announced_servers NAME=PYTHON:PROGRAM …        each with the interpreter that has its SDK
"""

import atexit
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from harness import BINARY, WORK, environment, free_port, start_registry, wait_until
from python_client.tcp_proxy import TcpProxy

FOLDER = WORK / "python" / "announced"
TTL = 4
PROGRAMS = {name: words.split(":") for name, words in (word.split("=") for word in sys.argv[1:])}
INITIALIZE = [
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "e2e", "version": "1"}},
    },
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
]


class AnnouncedServer:
    """A server over standard input and output, called with raw JSON-RPC; or a server over HTTP."""

    def __init__(self, name, url, *, port=None):
        python, program = PROGRAMS[name]
        self.command = [python, str(Path(program).resolve()), *(["http", str(port)] if port else ["stdio"])]
        # Started by its file name: the registration must contain the absolute path.
        words = [python, Path(program).name, *self.command[2:]]
        self.log = FOLDER / f"{name}{port or ''}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=Path(program).parent,
                env=environment(PAULINA_URL=url, NO_COLOR="1"),
            )
        atexit.register(self.process.kill)
        self.started_at = time.monotonic()

    def send(self, *messages):
        """Sends messages and returns the response to the last request. Output that is not JSON-RPC is an error."""
        for message in messages:
            self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        last = next((message["id"] for message in reversed(messages) if "id" in message), None)
        while last is not None:
            answer = json.loads(self.process.stdout.readline())
            assert answer["jsonrpc"] == "2.0"
            if answer.get("id") == last:
                return answer
        return None

    def initialize(self):
        """Initializes the session. Returns the seconds from the start to the response."""
        self.send(INITIALIZE[0])
        seconds = time.monotonic() - self.started_at
        self.send(INITIALIZE[1])
        return seconds

    def end(self, how):
        """Ends the process. Returns the seconds that it took, and the exit code."""
        started_at = time.monotonic()
        if how == "closed input":
            self.process.stdin.close()
        else:
            self.process.send_signal(signal.Signals[how])
        code = self.process.wait(10)
        rest = self.process.stdout.read() if self.process.stdin.closed else ""
        assert not [line for line in rest.splitlines() if not line.startswith("{")], f"not JSON-RPC: {rest}"
        return time.monotonic() - started_at, code

    def log_lines(self):
        """Returns the lines of its log that come from Paulina."""
        words = ("registered", "not announced", "cannot read")
        return [line for line in self.log.read_text().splitlines() if any(word in line for word in words)]


def paulina(registry, *words):
    done = subprocess.run([BINARY, *words], capture_output=True, text=True, env=environment(PAULINA_URL=registry.url))
    assert done.returncode == 0, f"paulina {words}: {done.stderr}"
    return done.stdout


def listed(registry):
    return json.loads(paulina(registry, "ls", "--output", "json"))


def by_command(registry, announced):
    return next((server for server in listed(registry) if server["command"] == announced.command), None)


def registration(registry):
    """All servers are registered with the same data that `paulina inspect` reads over the protocol."""
    ports = {name: free_port() for name in PROGRAMS}
    servers = {name: AnnouncedServer(name, registry.url) for name in PROGRAMS}
    behind_http = {name: AnnouncedServer(name, registry.url, port=port) for name, port in ports.items()}
    wait_until(lambda: len(listed(registry)) == 2 * len(PROGRAMS), 60, "all are registered")
    print(paulina(registry, "ls"))
    for name, server in servers.items():
        server.initialize()
        wait_until(
            lambda: len(server.log_lines()) == 0 or "tools" in server.log_lines()[-1],
            5,
            "the registration is logged, or nothing",
        )
        inspected = subprocess.run(
            [BINARY, "inspect", "--", *server.command],
            capture_output=True,
            text=True,
            env=environment(PAULINA_URL="http://127.0.0.1:1"),
        )
        expected = json.loads(inspected.stdout)
        # The tools of a mounted FastMCP server exist shortly after the start of its lifespan.
        tools = len(expected["capabilities"]["tools"])
        wait_until(lambda: len(by_command(registry, server)["capabilities"]["tools"]) == tools, 5, "all tools")
        record = registry.curl(f"/v1/servers/{by_command(registry, server)['id']}")
        for key, value in expected.items():
            if key == "capabilities":
                value = {"tools": [], "resources": [], "prompts": [], **value}
            if key != "ttl":
                assert record[key] == value, f"{name}: {key} is {record[key]} instead of {value}"
        assert record["tags"] == ["python"] and record["metadata"] and record["ttl"] == TTL
        url = f"http://127.0.0.1:{ports[name]}/mcp"
        assert [
            server for server in listed(registry) if server["url"] == url and server["transport"] == "streamable-http"
        ], url
    print("each is registered with the data that `paulina inspect` reads over the protocol")
    return servers, behind_http


def new_tool_and_restart(registry, servers):
    """Each server adds a tool. All stay registered for more than two leases, and after a kill of the registry."""
    for number, (name, server) in enumerate(servers.items()):
        server.send({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "grow", "arguments": {}}})
        started_at = time.monotonic()
        wait_until(lambda: len(registry.ids("tool=grown")) == number + 1, TTL, f"the new tool of {name}")
        print(f"{name} has a new tool: registered after {time.monotonic() - started_at:.1f} s")
    end = time.monotonic() + 2 * TTL + 1
    while time.monotonic() < end:
        assert len(registry.ids("tag=python")) == 2 * len(servers)
        time.sleep(0.1)
    registry.kill()
    time.sleep(1)
    registry.start()
    # Longer than the standstill of leases after a start.
    end = time.monotonic() + 6
    while time.monotonic() < end:
        assert len(registry.ids("tag=python")) == 2 * len(servers)
        time.sleep(0.1)


def exits(registry, servers, behind_http):
    """After every kind of exit, the server is deregistered; after SIGKILL, its lease expires."""
    for name, server in servers.items():
        for how in ("closed input", "SIGTERM"):
            if how == "SIGTERM":
                server = AnnouncedServer(name, registry.url)
                wait_until(lambda: by_command(registry, server), 30, f"{name} is registered again")
            seconds, code = server.end(how)
            assert by_command(registry, server) is None, f"{name} has exited and is still registered"
            assert code == (0 if how == "closed input" else -signal.SIGTERM), f"{name}: exit code {code} after {how}"
            print(f"{name}, {how}: exited after {seconds:.2f} s, deregistered")
    for name, server in behind_http.items():
        how = "SIGINT" if name == "fastmcp" else "SIGTERM"
        seconds, code = server.end(how)
        assert code == -signal.Signals[how], f"{name} over HTTP: exit code {code} after {how}"
        print(f"{name} over HTTP, {how}: exited after {seconds:.2f} s")
        url = f"http://127.0.0.1:{server.command[-1]}/mcp"
        assert url not in [server["url"] for server in listed(registry)], (
            f"{name} over HTTP has exited and is still registered"
        )

    # The registration is executed, and its response is still delayed.
    slow = TcpProxy(registry, drops=lambda request: False, delay=lambda request: 60 * request.startswith(b"POST"))
    for name in servers:
        server = AnnouncedServer(name, slow.url)
        wait_until(lambda: by_command(registry, server), 30, f"{name} is registered through a slow proxy")
        server.end("SIGTERM")
        assert by_command(registry, server) is None, f"{name} has exited before the response and is still registered"
    print("SIGTERM before the response to the registration: deregistered")

    # SIGINT does not end a server that blocks on its input, with or without Paulina. It is deregistered anyway.
    for name in servers:
        server = AnnouncedServer(name, registry.url)
        wait_until(lambda: by_command(registry, server), 30, f"{name} is registered")
        server.process.send_signal(signal.SIGINT)
        wait_until(lambda: by_command(registry, server) is None, 2, f"{name} is deregistered after SIGINT")
        server.process.kill()
    name = next(iter(servers))
    server = AnnouncedServer(name, registry.url)
    wait_until(lambda: by_command(registry, server), 30, f"{name} is registered")
    server.process.kill()
    started_at = time.monotonic()
    wait_until(lambda: by_command(registry, server) is None, TTL + 2, f"{name} has expired after SIGKILL")
    print(f"{name}, SIGKILL: expired after {time.monotonic() - started_at:.1f} s")


def without_registry(registry):
    """Without a registry, or with one that never responds, the server does not wait, and logs one message."""
    registry.stop()
    unresponsive = socket.create_server(("127.0.0.1", 0), backlog=16)
    unresponsive_url = f"http://127.0.0.1:{unresponsive.getsockname()[1]}"
    for name in PROGRAMS:
        usual = 0.0
        for url, what in (
            (registry.url, "no registry"),
            (unresponsive_url, "an unresponsive registry"),
            ("nonsense", "an invalid URL"),
        ):
            server = AnnouncedServer(name, url)
            seconds = server.initialize()
            usual = usual or seconds
            wait_until(server.log_lines, 10, f"{name} logs that it is not registered: {what}")
            time.sleep(1)
            assert len(server.log_lines()) == 1, f"one message expected: {server.log_lines()}"
            if url == registry.url:
                registry.start()
                wait_until(
                    lambda: by_command(registry, server), TTL, f"{name} is registered after the start of the registry"
                )
                registry.stop()
            left, code = server.end("closed input")
            assert code == 0 and left < 3.5, f"{name}, {what}: exits after {left:.1f} s with {code}"
            print(f"{name}, {what}: response after {seconds:.2f} s, exit after {left:.2f} s")


def announced_from_outside(registry):
    """A server behind `paulina announce` does not announce itself in addition."""
    for name, (python, program) in PROGRAMS.items():
        words = [BINARY, "announce", "--tag", name, "--", python, str(Path(program).resolve()), "stdio"]
        with open(FOLDER / f"{name}-once.log", "wb") as log:
            process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=environment(PAULINA_URL=registry.url),
            )
        atexit.register(process.kill)
        wait_until(lambda tag=name: len(registry.ids(f"tag={tag}")) == 1, 15, f"{name} is announced")
        time.sleep(1)
        assert len(registry.ids("limit=1000")) == 1, f"{name} is registered twice"
        process.stdin.close()
        process.wait(15)
        wait_until(lambda: registry.ids("limit=1000") == [], 5, f"{name} is deregistered")
    print("behind `paulina announce`: each is registered once")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    registry = start_registry(FOLDER)
    servers, behind_http = registration(registry)
    new_tool_and_restart(registry, servers)
    exits(registry, servers, behind_http)
    announced_from_outside(registry)
    without_registry(registry)


main()
