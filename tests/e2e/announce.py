"""Real MCP servers, unmodified, behind `paulina announce`: found with all that they can do, gone when they are gone,
back when the registry is back, and to their client the same, byte by byte. And `paulina inspect` of broken ones.

Each announcement is a process whose standard input is held open, as an MCP client does.
"""

import asyncio
import atexit
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client

import paulina
from paulina import ROOT, WORK, Registry, environment, free_port, wait_until

BINARY = paulina.BINARY = Path(os.environ.get("PAULINA_BINARY", paulina.BINARY)).resolve()
TTL = 4
FOLDER = WORK / "announce"
FILES = FOLDER / "files"
NPM = WORK / "node_modules/.bin"
OLDER = [WORK / "venv-older/bin/python", ROOT / "tests/e2e/older_server.py"]
BROKEN = [sys.executable, ROOT / "tests/e2e/broken_server.py"]
EVERYTHING = [NPM / "mcp-server-everything"]
FILESYSTEM = [NPM / "mcp-server-filesystem", FILES]
MEMORY = [NPM / "mcp-server-memory"]


# Whoever ends a test ends what it has started, too: `atexit` does not run after SIGTERM by itself.
signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def overdue(*_):
    raise AssertionError("not done after five minutes")


signal.signal(signal.SIGALRM, overdue)


def took(condition, seconds, what):
    """The seconds until it holds."""
    begin = time.monotonic()
    wait_until(condition, seconds, what)
    return time.monotonic() - begin


def asked(*arguments):
    """What a command of Paulina prints."""
    done = subprocess.run([BINARY, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"paulina {arguments}: exit code {done.returncode}: {done.stderr}"
    return done.stdout


def found(*arguments):
    return asked("find", *arguments, "--output", "ids").split()


def registered():
    return {server["id"]: server for server in json.loads(asked("ls", "--output", "json"))}


def is_alive(process):
    """Whether there is such a process; one that has ended and that nobody has waited for is none."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def processes_with(mark):
    """The processes that have this among their arguments."""
    processes = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes().split(b"\0"):
                processes.append(int(path.parent.name))
    return processes


class Process:
    """A program in the background, which logs to a file; one that is spoken to answers through a pipe."""

    def __init__(self, name, words, *, spoken=False, **variables):
        self.log = FOLDER / f"{name}.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(word) for word in words], stdin=subprocess.PIPE if spoken else subprocess.DEVNULL,
                stdout=subprocess.PIPE if spoken else log, stderr=log, env=environment(**variables),
            )
        atexit.register(self.kill)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def ended(self, what):
        """How it ended, if it does so soon."""
        try:
            return self.process.wait(5)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{what} does not end; see {self.log}") from None


class Announced(Process):
    """`paulina announce` of a command, or of an address by flags."""

    def __init__(self, name, target, **variables):
        target = target if target[0] == "--url" else ["--", *target]
        words = [BINARY, "announce", "--id", name, "--ttl", TTL, "--tag", "e2e", *target]
        super().__init__(name, words, spoken=True, **variables)
        self.name = name

    def children(self):
        """Its child processes, each with its group."""
        children = {}
        for task in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):  # It has ended meanwhile.
                for child in map(int, task.read_text().split()):
                    children[child] = os.getpgid(child)
        return children

    def servers(self):
        """The process that it stands in for, if any. The one that is asked what it can do has a group of its own."""
        return [child for child, group in self.children().items() if group == os.getpgid(0)]

    def kill(self):
        """Kills it and then the server, whose end it must not notice."""
        servers = self.servers() if self.process.poll() is None else []
        super().kill()
        for server in servers:
            os.kill(server, signal.SIGKILL)


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2):
        return True
    return False


def notes_server(port):
    return Process("notes-server", [WORK / "venv-fastmcp/bin/python", ROOT / "tests/e2e/fastmcp_server.py", port])


def ten():
    """Ten servers, those behind HTTP started in the same moment as they are announced."""
    ports = {name: free_port() for name in ("notes", "older-sse", "everything-http")}
    repository = FILES / "repository"
    behind_http = {
        "notes": notes_server(ports["notes"]),
        "older-sse": Process("older-sse-server", [*OLDER, "sse", ports["older-sse"]]),
        "everything-http": Process("everything-http-server", [*EVERYTHING, "streamableHttp"],
                                   PORT=str(ports["everything-http"])),
    }
    targets = {
        "everything": EVERYTHING,
        "filesystem": FILESYSTEM,
        "memory": MEMORY,
        "sequential-thinking": [NPM / "mcp-server-sequential-thinking"],
        "time": [WORK / "venv-time/bin/mcp-server-time"],
        "git": [WORK / "venv-git/bin/mcp-server-git", "--repository", repository],
        "older": [*OLDER, "stdio"],
        "notes": ["--url", f"http://127.0.0.1:{ports['notes']}/mcp"],
        "older-sse": ["--url", f"http://127.0.0.1:{ports['older-sse']}/sse"],
        "everything-http": ["--url", f"http://127.0.0.1:{ports['everything-http']}/mcp"],
    }
    announced = {name: Announced(name, target) for name, target in targets.items()}
    return announced, behind_http, ports


def announced_at_once(announced):
    seconds = took(lambda: registered().keys() == announced.keys(), 60, "ten servers are registered")
    print(asked("ls"))
    print(f"ten servers announced at once: all registered after {seconds:.1f} s")
    for name, server in registered().items():
        kind = {"notes": "streamable-http", "older-sse": "sse", "everything-http": "streamable-http"}.get(name, "stdio")
        assert server["transport"] == kind, f"{name} is registered as {server['transport']}"
        assert server["capabilities"]["tools"] and server["version"], f"{name} has no tools or no version"
        assert server["health"] == "healthy" and server["ttl"] == TTL and server["tags"] == ["e2e"], name
    for flag, what, where in [("--tool", "read_file", "filesystem"), ("--resource", "notes://today", "notes"),
                              ("--prompt", "summarise_notes", "notes")]:
        assert found(flag, what) == [where], f"{flag} {what} finds {found(flag, what)}"
        print(f"find {flag} {what}: {where}")
    for announcement in announced.values():
        wait_until(lambda: list(announcement.children()) == announcement.servers(), 5,
                   f"{announcement.name}: the process that was asked what it can do has ended")


def killed(announced, behind_http, ports):
    """Servers killed, with and without their announcement, and one that hangs."""
    announced.pop("memory").kill()
    seconds = took(lambda: "memory" not in registered(), TTL + 2, "a server killed with its announcement is gone")
    print(f"server and announcement killed: gone after {seconds:.1f} s")

    thinking = announced.pop("sequential-thinking")
    server, = thinking.servers()
    os.kill(server, signal.SIGKILL)
    seconds = took(lambda: thinking.name not in registered(), 1, "a server that was killed is deregistered")
    code = thinking.ended("the announcement of a server that was killed")
    assert code == -signal.SIGKILL, f"the server was killed, and its announcement ended with {code}"
    print(f"server killed: deregistered after {seconds:.2f} s, its announcement ended with {code}")

    behind_http["notes"].kill()
    seconds = took(lambda: "notes" not in registered(), TTL + 2, "a server behind HTTP that was killed is gone")
    behind_http["notes"] = notes_server(ports["notes"])
    wait_until(lambda: listens(ports["notes"]), 30, "a server behind HTTP listens again")
    back = took(lambda: "notes" in registered(), TTL + 2, "a server behind HTTP is back")
    print(f"server behind HTTP killed: gone after {seconds:.1f} s; started again: back after {back:.1f} s")

    hanging = behind_http["older-sse"].process
    hanging.send_signal(signal.SIGSTOP)
    seconds = took(lambda: "older-sse" not in registered(), TTL + 2, "a server behind HTTP that hangs is gone")
    hanging.send_signal(signal.SIGCONT)
    back = took(lambda: "older-sse" in registered(), 15, "a server behind HTTP that does not hang any more is back")
    print(f"server behind HTTP hangs: gone after {seconds:.1f} s; goes on: back after {back:.1f} s")


def registry_away(registry, announced):
    """The registry killed, emptied, and not there yet."""
    registry.kill()
    time.sleep(3)
    registry.start()
    end = time.monotonic() + TTL + 2
    while time.monotonic() < end:
        assert registered().keys() == announced.keys(), f"after the registry was killed: {list(registered())}"
        time.sleep(0.05)
    print(f"registry killed, away for 3 s: all {len(announced)} there from its start on, for {TTL + 2} s")

    registry.stop()
    for path in registry.database.parent.glob(f"{registry.database.name}*"):
        path.unlink()
    registry.start()
    seconds = took(lambda: registered().keys() == announced.keys(), 10, "all are back in an empty registry")
    print(f"registry empty: all {len(announced)} back after {seconds:.1f} s")

    registry.stop()
    late = announced["late"] = Announced("late", MEMORY)
    wait_until(lambda: "not registered for now" in late.log.read_text(), 20, "the registry is missed")
    registry.start()
    seconds = took(lambda: "late" in registered(), 10, "announced before the registry is there")
    wait_until(lambda: registered().keys() == announced.keys(), 10, "all are back")
    print(f"announced while the registry is away: registered {seconds:.1f} s after its start")


def deregistered(announced, behind_http):
    """Announcements that end in order."""
    for name in ("late", "git"):
        announcement = announced.pop(name)
        server, = announcement.servers()
        announcement.process.stdin.close()
        own = took(lambda: not is_alive(server), 5, f"{name} ends when its input does")
        seconds = took(lambda: name not in registered(), 1, f"{name} is deregistered when it has ended")
        code = announcement.ended(f"the announcement of {name}")
        assert code == 0, f"its input has ended, and the announcement of {name} ended with {code}"
        print(f"input of {name} closed: it ended after {own:.2f} s, deregistered after another {seconds:.2f} s, exit "
              f"code {code}")

    stopped = announced.pop("time")
    server, = stopped.servers()
    stopped.process.terminate()
    seconds = took(lambda: "time" not in registered(), 1, "a server is deregistered after SIGTERM")
    code = stopped.ended("an announcement that was sent SIGTERM")
    assert code == -signal.SIGTERM and not is_alive(server), f"SIGTERM ends a server behind announce with {code}"
    print(f"SIGTERM to the announcement of time: deregistered after {seconds:.2f} s, it ended with {code}")

    stopped = announced.pop("older-sse")
    stopped.process.terminate()
    seconds = took(lambda: "older-sse" not in registered(), 1, "a server behind HTTP is deregistered after SIGTERM")
    code = stopped.ended("an announcement of an address that was sent SIGTERM")
    assert code == 0 and behind_http["older-sse"].process.poll() is None, f"SIGTERM, of an address: {code}"
    print(f"SIGTERM to the announcement of older-sse: deregistered after {seconds:.2f} s, exit code {code}")


def request(number, method, **params):
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def call(number, tool, **arguments):
    return request(number, "tools/call", name=tool, arguments=arguments)


GREETING = [
    request(1, "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "e2e", "version": "1"}),
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
]


class Spoken(Process):
    """A server that is spoken to in raw JSON-RPC."""

    def __init__(self, name, words):
        super().__init__(name, words, spoken=True)

    def say(self, message):
        """Says it, and returns the bytes that come until it is answered, if it is a request."""
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()
        said = b""
        while "id" in message:
            line = self.process.stdout.readline()
            assert line, f"the server says no more; see {self.log}"
            said += line
            if json.loads(line).get("id") == message["id"]:
                break
        return said

    def converse(self, messages):
        """All that it says to these, and how it ends when its input does."""
        said = b"".join(map(self.say, messages))
        self.process.stdin.close()
        return said + self.process.stdout.read(), self.ended("a server whose input has ended")


def same_bytes():
    """A conversation with a server alone, and behind announce."""
    lists = [request(2, "tools/list"), request(3, "resources/list"), request(4, "prompts/list"), request(5, "none")]
    (FILES / "read.txt").write_text("Grüße\n" * 1000)
    conversations = {
        "everything": [[*EVERYTHING, "stdio"], *lists, call(6, "echo", message="Grüße"), call(7, "get-sum", a=1, b=2),
                       call(8, "get-tiny-image"), call(9, "none")],
        "filesystem": [FILESYSTEM, request(2, "tools/list"), call(3, "list_allowed_directories"),
                       call(4, "read_text_file", path=str(FILES / "read.txt"))],
        "older": [[*OLDER, "stdio"], *lists, call(6, "shout", text="Grüße")],
    }
    for name, (command, *messages) in conversations.items():
        alone = Spoken("alone", command).converse(GREETING + messages)
        behind = Spoken("behind", [BINARY, "announce", "--", *command]).converse(GREETING + messages)
        same = len(os.path.commonprefix([alone[0], behind[0]]))
        assert behind == alone, f"{name} says something else behind announce, from byte {same} on: {behind[0][same:]}"
        assert alone[1] == 0, f"{name} ends with {alone[1]}"
        print(f"conversation with {name}: the same {len(alone[0])} bytes behind announce, exit code {behind[1]}")


def echoed(size, *, slowness):
    """What comes back of a message this large that is sent to `cat`, when it is read only after this time."""
    message = json.dumps({"jsonrpc": "2.0", "method": "notifications/x", "params": {"x": secrets.token_hex(size // 2)}})
    cat = Spoken("cat", [BINARY, "announce", "--", "cat"])

    def speak():
        cat.process.stdin.write(message.encode() + b"\n")
        cat.process.stdin.close()

    threading.Thread(target=speak).start()
    time.sleep(slowness)
    received = cat.process.stdout.read().decode()
    assert received == message + "\n", f"{len(received)} of {len(message) + 1} bytes came back, read after {slowness} s"
    assert cat.ended("cat behind announce") == 0
    print(f"{len(message) >> 10} KiB through announce, read after {slowness} s: intact in both directions")


def exit_codes():
    plain = FOLDER / "plain.txt"
    plain.write_text("no program\n")
    commands = {
        "exits with 7": (["sh", "-c", "exit 7"], 7),
        "does not exist": (["/nowhere/server"], 127),
        "is not executable": ([plain], 126),
        "is ended by SIGTERM": (["sh", "-c", "kill -TERM $$"], -signal.SIGTERM),
    }
    for what, (command, expected) in commands.items():
        begin = time.monotonic()
        done = subprocess.run([BINARY, "announce", "--", *command], stdin=subprocess.DEVNULL, capture_output=True)
        seconds = time.monotonic() - begin
        assert done.returncode == expected, f"what {what}, behind announce, ends with {done.returncode}: {done.stderr}"
        assert seconds < 3, f"what {what}, behind announce, takes {seconds:.1f} s"
        print(f"a command that {what}: announce ends with {expected} after {seconds:.2f} s")


def through_announce(name, command, **variables):
    """What a client of the Python SDK starts instead of the command."""
    words = ["announce", "--id", name, "--ttl", str(TTL), "--", *map(str, command)]
    server = StdioServerParameters(command=str(BINARY), args=words, env=environment(**variables))
    return stdio_client(server, errlog=open(FOLDER / f"{name}.log", "a"))


async def client_of_the_sdk():
    async with asyncio.timeout(60), Client(through_announce("client", EVERYTHING)) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        called = await client.call_tool("get-sum", {"a": 20, "b": 22})
        assert "42" in called.content[0].text, called
        await asyncio.to_thread(wait_until, lambda: "client" in registered(), 20, "a client's server is registered")
        in_registry = {tool["name"] for tool in registered()["client"]["capabilities"]["tools"]}
        assert in_registry == tools, f"the client knows {tools}, and the registry {in_registry}"
    await asyncio.to_thread(wait_until, lambda: "client" not in registered(), 5, "the client has gone, its server, too")
    print(f"Python SDK through announce: {len(tools)} tools, called, and the same in the registry")


async def grows(name, target):
    """Grows over one session; the registry has it, too."""
    async with asyncio.timeout(60), Client(target) as client:
        await asyncio.to_thread(wait_until, lambda: name in registered(), 20, f"{name} is registered")
        assert found("--tool", "grown") == [], "nothing has grown yet"
        begin = time.monotonic()
        await client.call_tool("grow", {})
        await asyncio.to_thread(wait_until, lambda: found("--tool", "grown") == [name], 5, f"{name} has grown")
        seconds = time.monotonic() - begin
        assert "grown" in {tool.name for tool in (await client.list_tools(cache_mode="bypass")).tools}
    print(f"{name} has a new tool: found after {seconds:.1f} s")


def lists_changed():
    """A tool that is added at run time, over standard input and output and over both kinds of HTTP."""
    grown = FOLDER / "grown-stdio"
    asyncio.run(grows("growing", through_announce("growing", [*OLDER, "stdio"], GROWN=str(grown))))
    wait_until(lambda: "growing" not in registered(), 5, "the client has gone, its server, too")
    for kind, path in [("http", "mcp"), ("sse", "sse")]:
        name, port = f"growing-{kind}", free_port()
        server = Process(f"{name}-server", [*OLDER, kind, port], GROWN=str(FOLDER / f"grown-{kind}"))
        wait_until(lambda: listens(port), 30, "the older server listens")
        url = f"http://127.0.0.1:{port}/{path}"
        announced = Announced(name, ["--url", url])
        asyncio.run(grows(name, sse_client(url) if kind == "sse" else url))
        announced.process.terminate()
        assert announced.ended("an announcement that was sent SIGTERM") == 0
        server.kill()


def overhead():
    """A tool call to a server alone and to one behind announce, by turns."""
    alone, behind = Spoken("alone", FILESYSTEM), Spoken("behind", [BINARY, "announce", "--ttl", TTL, "--", *FILESYSTEM])
    times = {alone: [], behind: []}
    for server in times:
        for message in GREETING:
            server.say(message)
    for number in range(450):
        for server in (alone, behind) if number % 2 else (behind, alone):
            begin = time.perf_counter()
            server.say(call(number, "list_allowed_directories"))
            times[server].append((time.perf_counter() - begin) * 1000)
    # The first ones warm the server up, and fall into the introspection.
    p50 = [median(times[server][50:]) for server in times]
    print(f"tool call, p50 of 400: {p50[0]:.3f} ms alone, {p50[1]:.3f} ms behind announce, "
          f"{p50[1] - p50[0]:+.3f} ms")
    assert p50[1] - p50[0] <= 1, "announce costs more than 1 ms a call"
    for server in times:
        server.process.stdin.close()
        assert server.ended("a server whose input has ended") == 0


def inspected(mode, target, mark):
    """Exit code, message and seconds of `paulina inspect`, after which no process of the server may be left."""
    begin = time.monotonic()
    words = [BINARY, "inspect", "--patience", "3s", *target]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=30)
    seconds = time.monotonic() - begin
    wait_until(lambda: not processes_with(mark), 1, f"{mode}: processes of the server are left: {processes_with(mark)}")
    return mode, done, seconds


def broken():
    """Each broken server is told from the others."""
    ports = {mode: free_port() for mode in ("unauthorized", "web", "nothing listens")}
    behind_http = [Process(mode, [*BROKEN, mode, ports[mode]]) for mode in ("unauthorized", "web")]
    for mode in ("unauthorized", "web"):
        wait_until(lambda: listens(ports[mode]), 10, f"{mode} listens")
    words = {
        "hang": ["did not answer"],
        "die": ["ended", "API_KEY is not set"],
        "rubbish": ["what is not MCP", "Welcome to the server!"],
        "error": ["with an error"],
        "endless": ["without end"],
        "deaf": ["did not answer tools/list"],
        "no such command": ["cannot start"],
        "unauthorized": ["credentials"],
        "web": ["does not speak MCP"],
        "nothing listens": ["nothing answers"],
        "banner": [],
    }
    mark = f"broken-{os.getpid()}"
    with ThreadPoolExecutor(len(words)) as pool:
        running = []
        for mode in words:
            target = ["--", *BROKEN, mode, f"{mark}-{mode}"]
            if mode in ports:
                target = ["--url", f"http://127.0.0.1:{ports[mode]}/mcp"]
            elif mode == "no such command":
                target = ["--", "/nowhere/server"]
            running.append(pool.submit(inspected, mode, target, f"{mark}-{mode}"))
    outcomes = [future.result() for future in running]
    wrong = []
    for mode, done, seconds in outcomes:
        message = done.stderr.strip()
        print(f"inspect: {mode:16} {seconds:.1f} s  {message or 'works'}")
        expected = 0 if mode == "banner" else 1
        if done.returncode != expected or not all(word in message for word in words[mode]) or seconds > 10:
            wrong.append((mode, words[mode], done.returncode))
    assert not wrong, f"inspect tells the wrong thing: {wrong}"
    works = json.loads(outcomes[-1][1].stdout)
    assert [tool["name"] for tool in works["capabilities"]["tools"]] == ["nothing"], works
    for server in behind_http:
        server.kill()


def main():
    signal.alarm(300)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FILES.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", FILES / "repository"], check=True)
    registry = Registry(FOLDER / "paulina.db")
    registry.start()
    atexit.register(lambda: registry.kill())
    os.environ["PAULINA_URL"] = registry.url
    announced, behind_http, ports = ten()
    announced_at_once(announced)
    killed(announced, behind_http, ports)
    registry_away(registry, announced)
    deregistered(announced, behind_http)
    overhead()
    same_bytes()
    exit_codes()
    asyncio.run(client_of_the_sdk())
    lists_changed()
    for announcement in announced.values():
        if announcement.name in behind_http:
            announcement.process.terminate()
        announcement.process.stdin.close()
        assert announcement.ended(f"the announcement of {announcement.name}") == 0, announcement.name
    assert registered() == {}, f"all have ended, and are registered: {list(registered())}"
    for server in behind_http.values():
        server.kill()
    echoed(4 << 20, slowness=0)
    echoed(150 << 10, slowness=1.5)
    broken()
    registry.stop()
    print("announce: passed")


if __name__ == "__main__":
    main()
