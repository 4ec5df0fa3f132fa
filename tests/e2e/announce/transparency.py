"""`paulina announce` does not change what a client and a server exchange: the same bytes, exit codes and
notifications, at a cost of less than 1 ms for a call."""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import threading
import time
from statistics import median

from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client

from announce.processes import (
    EVERYTHING,
    FILES,
    FILESYSTEM,
    FOLDER,
    INITIALIZE,
    OLDER,
    TTL,
    Announcement,
    JsonRpcServer,
    Process,
    call,
    find_ids,
    listens,
    registered,
    request,
)
from harness import BINARY, environment, free_port, wait_until


def same_bytes():
    """Compares a conversation with a server to the same one behind announce."""
    lists = [request(2, "tools/list"), request(3, "resources/list"), request(4, "prompts/list"), request(5, "none")]
    (FILES / "read.txt").write_text("Grüße\n" * 1000)
    conversations = {
        "everything": [
            [*EVERYTHING, "stdio"],
            *lists,
            call(6, "echo", message="Grüße"),
            call(7, "get-sum", a=1, b=2),
            call(8, "get-tiny-image"),
            call(9, "none"),
        ],
        "filesystem": [
            FILESYSTEM,
            request(2, "tools/list"),
            call(3, "list_allowed_directories"),
            call(4, "read_text_file", path=str(FILES / "read.txt")),
        ],
        "older": [[*OLDER, "stdio"], *lists, call(6, "shout", text="Grüße")],
    }
    for name, (command, *messages) in conversations.items():
        direct = JsonRpcServer("direct", command).conversation(INITIALIZE + messages)
        behind = JsonRpcServer("behind", [BINARY, "announce", "--", *command]).conversation(INITIALIZE + messages)
        same = len(os.path.commonprefix([direct[0], behind[0]]))
        assert behind == direct, (
            f"{name} sends different bytes behind announce, from byte {same} on: {behind[0][same:]}"
        )
        assert direct[1] == 0, f"{name} exits with {direct[1]}"
        print(f"conversation with {name}: the same {len(direct[0])} bytes behind announce, exit code {behind[1]}")


def large_message(size, *, delay):
    """Sends a message of this size to `cat` and reads its output only after the delay."""
    message = json.dumps({"jsonrpc": "2.0", "method": "notifications/x", "params": {"x": secrets.token_hex(size // 2)}})
    cat = JsonRpcServer("cat", [BINARY, "announce", "--", "cat"])

    def write():
        cat.process.stdin.write(message.encode() + b"\n")
        cat.process.stdin.close()

    threading.Thread(target=write).start()
    time.sleep(delay)
    received = cat.process.stdout.read().decode()
    assert received == message + "\n", f"{len(received)} of {len(message) + 1} bytes returned, read after {delay} s"
    assert cat.exit_code("cat behind announce") == 0
    print(f"{len(message) >> 10} KiB through announce, read after {delay} s: intact in both directions")


def exit_codes():
    plain = FOLDER / "plain.txt"
    plain.write_text("not a program\n")
    commands = {
        "exits with 7": (["sh", "-c", "exit 7"], 7),
        "does not exist": (["/nowhere/server"], 127),
        "is not executable": ([plain], 126),
        "is terminated by SIGTERM": (["sh", "-c", "kill -TERM $$"], -signal.SIGTERM),
    }
    for what, (command, expected) in commands.items():
        begin = time.monotonic()
        done = subprocess.run([BINARY, "announce", "--", *command], stdin=subprocess.DEVNULL, capture_output=True)
        seconds = time.monotonic() - begin
        assert done.returncode == expected, (
            f"a command that {what}, behind announce, exits with {done.returncode}: {done.stderr}"
        )
        assert seconds < 3, f"a command that {what}, behind announce, takes {seconds:.1f} s"
        print(f"a command that {what}: announce exits with {expected} after {seconds:.2f} s")


def through_announce(name, command, **variables):
    """Returns what a client of the Python SDK starts instead of the command."""
    words = ["announce", "--id", name, "--ttl", str(TTL), "--", *map(str, command)]
    server = StdioServerParameters(command=str(BINARY), args=words, env=environment(**variables))
    return stdio_client(server, errlog=open(FOLDER / f"{name}.log", "a"))


async def python_sdk_client():
    async with asyncio.timeout(60), Client(through_announce("client", EVERYTHING)) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        called = await client.call_tool("get-sum", {"a": 20, "b": 22})
        assert "42" in called.content[0].text, called
        await asyncio.to_thread(
            wait_until, lambda: "client" in registered(), 20, "the server of a client is registered"
        )
        in_registry = {tool["name"] for tool in registered()["client"]["capabilities"]["tools"]}
        assert in_registry == tools, f"the client lists {tools}, and the registry {in_registry}"
    await asyncio.to_thread(
        wait_until, lambda: "client" not in registered(), 5, "the server is deregistered after its client has exited"
    )
    print(f"Python SDK through announce: {len(tools)} tools, the same in the registry, and a tool call works")


async def add_tool(name, target):
    """Adds a tool in one session. The registry lists the tool, too."""
    async with asyncio.timeout(60), Client(target) as client:
        await asyncio.to_thread(wait_until, lambda: name in registered(), 20, f"{name} is registered")
        assert find_ids("--tool", "grown") == [], "the tool exists before it was added"
        begin = time.monotonic()
        await client.call_tool("grow", {})
        await asyncio.to_thread(
            wait_until, lambda: find_ids("--tool", "grown") == [name], 5, f"the new tool of {name} is registered"
        )
        seconds = time.monotonic() - begin
        assert "grown" in {tool.name for tool in (await client.list_tools(cache_mode="bypass")).tools}
    print(f"{name} has a new tool: found after {seconds:.1f} s")


def tool_list_changed():
    """Adds a tool at run time, over standard input and output and over both HTTP transports."""
    grown = FOLDER / "grown-stdio"
    asyncio.run(add_tool("growing", through_announce("growing", [*OLDER, "stdio"], GROWN=str(grown))))
    wait_until(lambda: "growing" not in registered(), 5, "the server is deregistered after its client has exited")
    for kind, path in [("http", "mcp"), ("sse", "sse")]:
        name, port = f"growing-{kind}", free_port()
        server = Process(f"{name}-server", [*OLDER, kind, port], GROWN=str(FOLDER / f"grown-{kind}"))
        wait_until(lambda: listens(port), 30, "the older server listens")
        url = f"http://127.0.0.1:{port}/{path}"
        announced = Announcement(name, ["--url", url])
        asyncio.run(add_tool(name, sse_client(url) if kind == "sse" else url))
        announced.process.terminate()
        assert announced.exit_code("an announcement that was sent SIGTERM") == 0
        server.kill()


def overhead():
    """Measures tool calls to a server directly and behind announce, in turns."""
    direct, behind = (
        JsonRpcServer("direct", FILESYSTEM),
        JsonRpcServer("behind", [BINARY, "announce", "--ttl", TTL, "--", *FILESYSTEM]),
    )
    times = {direct: [], behind: []}
    for server in times:
        for message in INITIALIZE:
            server.send(message)
    for number in range(450):
        for server in (direct, behind) if number % 2 else (behind, direct):
            begin = time.perf_counter()
            server.send(call(number, "list_allowed_directories"))
            times[server].append((time.perf_counter() - begin) * 1000)
    # The first calls warm the server up and overlap with the introspection.
    p50 = [median(times[server][50:]) for server in times]
    print(
        f"tool call, p50 of 400: {p50[0]:.3f} ms directly, {p50[1]:.3f} ms behind announce, {p50[1] - p50[0]:+.3f} ms"
    )
    assert p50[1] - p50[0] <= 1, "announce adds more than 1 ms to a call"
    for server in times:
        server.process.stdin.close()
        assert server.exit_code("a server after the end of input") == 0
