"""Servers of three SDKs that announce themselves: in `paulina ls` with all that they can do, gone when they have ended, and
never held up by a registry that is not there.

    announced.py NAME=PYTHON:PROGRAM …        each with the interpreter that has its SDK
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

from between import Between
from helper import BINARY, WORK, environment, free_port, started, wait_until

FOLDER = WORK / "announced"
TTL = 4
PROGRAMS = {name: words.split(":") for name, words in (word.split("=") for word in sys.argv[1:])}
GREETING = [
    {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "e2e", "version": "1"}}},
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
]


class Announced:
    """A server over standard input and output, spoken to in raw JSON-RPC; or over HTTP."""

    def __init__(self, name, url, *, port=None):
        python, program = PROGRAMS[name]
        self.command = [python, str(Path(program).resolve()), *(["http", str(port)] if port else ["stdio"])]
        # By its name alone: what is registered is the whole path.
        words = [python, Path(program).name, *self.command[2:]]
        self.log = FOLDER / f"{name}{port or ''}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=Path(program).parent,
                env=environment(PAULINA_URL=url, NO_COLOR="1"))
        atexit.register(self.process.kill)
        self.begun = time.monotonic()

    def say(self, *messages):
        """Says something and gives the answer to the last of it; what is no JSON-RPC on its output is an error."""
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

    def greet(self):
        """Greets it; the seconds from its start to its answer."""
        self.say(GREETING[0])
        seconds = time.monotonic() - self.begun
        self.say(GREETING[1])
        return seconds

    def end(self, how):
        """Ends it; the seconds that it took, and how it ended."""
        begun = time.monotonic()
        if how == "closed input":
            self.process.stdin.close()
        else:
            self.process.send_signal(signal.Signals[how])
        code = self.process.wait(10)
        rest = self.process.stdout.read() if self.process.stdin.closed else ""
        assert not [line for line in rest.splitlines() if not line.startswith("{")], f"on its output: {rest}"
        return time.monotonic() - begun, code

    def said(self):
        """The lines of its log that are Paulina's."""
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


def appear(registry):
    """All of them, with what `paulina inspect` reads from the same command over the protocol."""
    ports = {name: free_port() for name in PROGRAMS}
    servers = {name: Announced(name, registry.url) for name in PROGRAMS}
    behind_http = {name: Announced(name, registry.url, port=port) for name, port in ports.items()}
    wait_until(lambda: len(listed(registry)) == 2 * len(PROGRAMS), 60, "all are registered")
    print(paulina(registry, "ls"))
    for name, server in servers.items():
        server.greet()
        wait_until(lambda: len(server.said()) == 0 or "tools" in server.said()[-1], 5, "it says so, or nothing")
        inspected = subprocess.run([BINARY, "inspect", "--", *server.command], capture_output=True, text=True,
                                   env=environment(PAULINA_URL="http://127.0.0.1:1"))
        expected = json.loads(inspected.stdout)
        # What FastMCP mounts is there a moment after its lifespan has begun.
        tools = len(expected["capabilities"]["tools"])
        wait_until(lambda: len(by_command(registry, server)["capabilities"]["tools"]) == tools, 5, "all tools")
        record = registry.curl(f"/v1/servers/{by_command(registry, server)['id']}")
        for key, value in expected.items():
            if key == "capabilities":
                value = {"tools": [], "resources": [], "prompts": [], **value}
            if key != "ttl":
                assert record[key] == value, f"{name}: {key} is {record[key]} and not {value}"
        assert record["tags"] == ["python"] and record["metadata"] and record["ttl"] == TTL
        url = f"http://127.0.0.1:{ports[name]}/mcp"
        assert [it for it in listed(registry) if it["url"] == url and it["transport"] == "streamable-http"], url
    print("each is registered with what `paulina inspect` reads from it over the protocol")
    return servers, behind_http


def change(registry, servers):
    """A tool more, and all of it longer than two leases."""
    for number, (name, server) in enumerate(servers.items()):
        server.say({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "grow", "arguments": {}}})
        begun = time.monotonic()
        wait_until(lambda: len(registry.ids("tool=grown")) == number + 1, TTL, f"the new tool of {name}")
        print(f"{name} has a tool more: known after {time.monotonic() - begun:.1f} s")
    end = time.monotonic() + 2 * TTL + 1
    while time.monotonic() < end:
        assert len(registry.ids("tag=python")) == 2 * len(servers)
        time.sleep(0.1)
    registry.kill()
    time.sleep(1)
    registry.start()
    # Longer than leases stand still after a start.
    end = time.monotonic() + 6
    while time.monotonic() < end:
        assert len(registry.ids("tag=python")) == 2 * len(servers)
        time.sleep(0.1)


def end(registry, servers, behind_http):
    """However they end, they are gone; those that are killed with their lease."""
    for name, server in servers.items():
        for how in ("closed input", "SIGTERM"):
            if how == "SIGTERM":
                server = Announced(name, registry.url)
                wait_until(lambda: by_command(registry, server), 30, f"{name} again")
            seconds, code = server.end(how)
            assert by_command(registry, server) is None, f"{name} has ended, and is still registered"
            assert code == (0 if how == "closed input" else -signal.SIGTERM), f"{name}: {how} ends it with {code}"
            print(f"{name}, {how}: ended after {seconds:.2f} s, and is gone")
    for name, server in behind_http.items():
        how = "SIGINT" if name == "fastmcp" else "SIGTERM"
        seconds, code = server.end(how)
        assert code == -signal.Signals[how], f"{name} over HTTP: {how} ends it with {code}"
        print(f"{name} over HTTP, {how}: ended after {seconds:.2f} s")
        url = f"http://127.0.0.1:{server.command[-1]}/mcp"
        assert url not in [it["url"] for it in listed(registry)], f"{name} over HTTP has ended, and is still registered"

    # The registration has been carried out, and its response is still on its way.
    slow = Between(registry, loses=lambda request: False, holds=lambda request: 60 * request.startswith(b"POST"))
    for name in servers:
        server = Announced(name, slow.url)
        wait_until(lambda: by_command(registry, server), 30, f"{name} behind a slow proxy")
        server.end("SIGTERM")
        assert by_command(registry, server) is None, f"{name} has ended before the response, and is still registered"
    print("SIGTERM before the response to the registration: gone as well")

    # Ctrl-C alone does not end a server that reads its input, with or without us; it is taken out all the same.
    for name in servers:
        server = Announced(name, registry.url)
        wait_until(lambda: by_command(registry, server), 30, f"{name} once more")
        server.process.send_signal(signal.SIGINT)
        wait_until(lambda: by_command(registry, server) is None, 2, f"{name} is gone after SIGINT")
        server.process.kill()
    name = next(iter(servers))
    server = Announced(name, registry.url)
    wait_until(lambda: by_command(registry, server), 30, f"{name}, to be killed")
    server.process.kill()
    begun = time.monotonic()
    wait_until(lambda: by_command(registry, server) is None, TTL + 2, f"{name} is gone after SIGKILL")
    print(f"{name}, SIGKILL: gone after {time.monotonic() - begun:.1f} s")


def without_registry(registry):
    """No registry, and one that takes connections and never answers: the server does not wait, and says it once."""
    registry.stop()
    hole = socket.create_server(("127.0.0.1", 0), backlog=16)
    silent = f"http://127.0.0.1:{hole.getsockname()[1]}"
    for name in PROGRAMS:
        usual = 0.0
        for url, what in ((registry.url, "no registry"), (silent, "a silent one"), ("nonsense", "no address")):
            server = Announced(name, url)
            seconds = server.greet()
            usual = usual or seconds
            wait_until(server.said, 10, f"{name} says that it is not registered: {what}")
            time.sleep(1)
            assert len(server.said()) == 1, f"said once: {server.said()}"
            if url == registry.url:
                registry.start()
                wait_until(lambda: by_command(registry, server), TTL, f"{name} is registered when the registry is there")
                registry.stop()
            left, code = server.end("closed input")
            assert code == 0 and left < 3.5, f"{name}, {what}: ends after {left:.1f} s with {code}"
            print(f"{name}, {what}: answered after {seconds:.2f} s, ended after {left:.2f} s")


def once(registry):
    """What `paulina announce` announces does not announce itself as well."""
    for name, (python, program) in PROGRAMS.items():
        words = [BINARY, "announce", "--tag", name, "--", python, str(Path(program).resolve()), "stdio"]
        with open(FOLDER / f"{name}-once.log", "wb") as log:
            process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log,
                                       env=environment(PAULINA_URL=registry.url))
        atexit.register(process.kill)
        wait_until(lambda tag=name: len(registry.ids(f"tag={tag}")) == 1, 15, f"{name} is announced")
        time.sleep(1)
        assert len(registry.ids("limit=1000")) == 1, f"{name} is there twice"
        process.stdin.close()
        process.wait(15)
        wait_until(lambda: registry.ids("limit=1000") == [], 5, f"{name} is gone")
    print("announced by `paulina announce`: each is there once")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    registry = started(FOLDER)
    servers, behind_http = appear(registry)
    change(registry, servers)
    end(registry, servers, behind_http)
    once(registry)
    without_registry(registry)


main()
