"""The registry as an MCP server, asked by the clients that there are: both generations of the Python SDK and of the
TypeScript SDK, in both eras of the protocol, and the command line of the MCP Inspector; over streamable HTTP (`/mcp`) and
over standard input and output (`paulina mcp`).

    registry_mcp.py [seconds of silence]

All clients ask the same questions and print what they saw; it is judged here, in one place. A session of the era of
`initialize` has to outlive silence: its client is an editor that somebody left open. SDKs keep a session for five minutes.
"""

import asyncio
import atexit
import contextlib
import http.client
import json
import logging
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
import urllib.request
import warnings
from collections import Counter
from pathlib import Path
from statistics import median

import anyio
import httpx2
import jsonschema
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

import paulina
from paulina import ROOT, WORK, Registry, wait_until

BINARY = paulina.BINARY = Path(os.environ.get("PAULINA_BINARY", paulina.BINARY)).resolve()
FOLDER = WORK / "registry_mcp"
HERE = ROOT / "tests/e2e"
OLDER = [WORK / "venv-older/bin/python", HERE / "registry_mcp_older.py"]
TYPESCRIPT = ["node", HERE / "registry_mcp.mjs"]
INSPECTOR = [WORK / "node_modules/.bin/mcp-inspector", "--cli"]

READING = ["find_servers", "find_tools", "get_server", "registry_status"]
WRITING = ["register_server", "deregister_server"]
LEGACY, MODERN = "2025-11-25", "2026-07-28"
ALL = "paulina://servers"
SOON = 1.0  # seconds until a change is told
ENDED = 2.0  # seconds until streams end with the registry
REVOKED = 5.0  # seconds until they end with their token
WINDOW = 40_000  # bytes of an answer: some 10,000 tokens
TEXT = 20_000  # bytes of the text beside it, at most
WAY_OUT = {  # what is asked wrongly, and what the answer says to do
    "get_server": ({"id": "nobody"}, "find_servers says which there are"),
    "find_tools": ({"query": "file", "limit": 21}, "between 1 and 20"),
    "find_servers": ({"colour": "red"}, "expected one of `query`"),
    "registry_status": ({"verbose": True}, "unknown field `verbose`"),
}


# Whoever ends a test ends what it has started, too: `atexit` does not run after SIGTERM by itself.
signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
warnings.filterwarnings("ignore", message="resources/subscribe is removed")


def tool(name, description, **properties):
    schema = {"type": "object", "properties": {key: {"type": kind} for key, kind in properties.items()}}
    return {"name": name, "title": name.replace("_", " ").title(), "description": description, "inputSchema": schema}


def server(id, name, transport, *tools, version="1.0.0", ttl=3600, **more):
    way = {"command": ["/usr/bin/env", id]} if transport == "stdio" else {"url": f"https://{id}.example/mcp"}
    capabilities = {"tools": list(tools), **more.pop("capabilities", {})}
    return {"id": id, "name": name, "version": version, "transport": transport, **way, "capabilities": capabilities, "ttl": ttl,
            **more}


READ_FILE = tool("read_file", "Reads a file as text", path="string", head="integer")
SERVERS = [
    server("files", "filesystem", "stdio", READ_FILE, tool("write_file", "Writes a file", path="string", text="string"),
           title="Files", description="Files of this machine", tags=["local", "files"], metadata={"team": "search"},
           environment=[{"name": "ROOT_FOLDER", "description": "what it may see", "required": True, "secret": False}],
           capabilities={"resources": ["file:///{path}"], "prompts": [{"name": "summarise"}], "sampling": True}),
    server("weather", "weather", "streamable-http", tool("get_forecast", "Tells the weather of the next days", town="string"),
           version="2.1.0", tags=["remote", "weather"], headers=[{"name": "Authorization", "required": True, "secret": True}]),
    server("weather-old", "weather", "sse", tool("get_forecast", "Tells tomorrow's weather", town="string"), tags=["remote"]),
    server("archive", "archive", "streamable-http", READ_FILE, tool("search", "Searches the archive", words="string"),
           version="0.3.0", tags=["remote"]),
    server("gone", "gone", "stdio", tool("knock", "Knocks at a door"), tags=["local"], ttl=1),
]
HEALTHY = [each["id"] for each in SERVERS[:-1]]
FOUND = [  # the arguments of find_servers, and whom they find
    ({}, HEALTHY),
    ({"query": "forecast"}, ["weather", "weather-old"]),
    ({"query": "tells next days"}, ["weather"]),
    ({"query": "what will the weather be tomorrow"}, ["weather", "weather-old"]),
    ({"tool": "read_file"}, ["files", "archive"]),
    ({"capability": "prompts"}, ["files"]),
    ({"capability": "sampling"}, ["files"]),
    ({"resource": "file:///etc/hosts"}, ["files"]),
    ({"prompt": "summarise"}, ["files"]),
    ({"tags": ["remote"]}, ["weather", "weather-old", "archive"]),
    ({"tags": ["remote", "weather"]}, ["weather"]),
    ({"name": "weather"}, ["weather", "weather-old"]),
    ({"version": "2.1.0"}, ["weather"]),
    ({"name": "weather", "version": "1.0.0"}, ["weather-old"]),
    ({"include_unhealthy": True, "tags": ["local"]}, ["files", "gone"]),
    ({"include_unhealthy": False, "tags": ["local"]}, ["files"]),
    ({"limit": 2}, HEALTHY[:2]),
    ({"limit": 50, "query": "reads"}, ["files", "archive"]),
    ({"tool": "read_files"}, []),
]


def new(title):
    return server("new", "new", "stdio", tool("greet", "Greets"), title=title, tags=["new"])


def questions(writing):
    """What every client asks."""
    register = [["register_server", {"registration": new(title)}] for title in ["Before", "After"]]
    steps = [[*register[0], 3], [*register[1], 2], ["deregister_server", {"id": "new"}, 3]]
    return {
        "calls": [["find_servers", {}], ["find_tools", {"query": "read file"}], ["find_tools", {"query": "read my mind"}],
                  ["get_server", {"id": "files", "schemas_of": ["read_file"]}], ["registry_status", {}]],
        "refused": [[name, arguments] for name, (arguments, _) in WAY_OUT.items()] + [["no_such_tool", {}]],
        "read": [ALL, f"{ALL}/files"], "no_resource": f"{ALL}/nobody",
        "subscribe": [ALL, f"{ALL}/new"], "changes": steps if writing else [],
    }


class Asked:
    """What a client saw, and whether it is right."""

    def __init__(self, who, version, writing, seen):
        self.who, self.writing, self.seen, self.legacy = who, writing, seen, version == LEGACY
        self.tools = {tool["name"]: tool for tool in seen["tools"]}
        assert seen["version"] in (version, None), f"{who}: speaks {seen['version']}"

    def check(self):
        self.greeting()
        self.described()
        self.answers()
        self.errors()
        self.resources()
        slowest = self.changes()
        told = f", changes told within {slowest * 1000:.0f} ms" if self.writing else ""
        print(f"  {self.who}: {len(self.tools)} tools, {self.seen['version'] or 'era not told by the SDK'}{told}", flush=True)

    def greeting(self):
        server, capabilities = self.seen["server"], self.seen["capabilities"]
        assert (server["name"], server["title"]) == ("paulina", "Paulina") and server["version"], f"{self.who}: {server}"
        assert "tools" in capabilities, f"{self.who}: {capabilities}"
        assert capabilities["resources"] == {"subscribe": True, "listChanged": True}, f"{self.who}: {capabilities}"
        assert "find_tools" in self.seen["instructions"], f"{self.who}: the instructions say nothing of find_tools"

    def described(self):
        assert list(self.tools) == READING + (WRITING if self.writing else []), f"{self.who}: {list(self.tools)}"
        for name, tool in self.tools.items():
            assert tool["title"] and tool["description"], f"{self.who}: {name} has no title or description"
            for schema in [tool["inputSchema"], tool["outputSchema"]]:
                jsonschema.Draft202012Validator.check_schema(schema)
                assert schema["type"] == "object", f"{self.who}: {name} takes or gives no object"
            hints = tool["annotations"]
            assert hints["readOnlyHint"] == (name in READING), f"{self.who}: {name} is wrongly said to read only"
            assert hints["destructiveHint"] == (name in WRITING), f"{self.who}: {name} is wrongly said to destroy"
            assert hints["openWorldHint"] is False, f"{self.who}: {name} is said to reach out"

    def right(self, name, result):
        """The structured answer, which is as its schema says, with a short text beside."""
        return right(self.who, self.tools[name], result)

    def answers(self):
        servers, tools, some, one, status = (self.right(name, result) for (name, _), result
                                             in zip(questions(False)["calls"], self.seen["answers"], strict=True))
        assert [found["id"] for found in servers["servers"]] == HEALTHY, f"{self.who}: {servers}"
        assert not servers["more"] and servers["servers"][0]["tools"] == ["read_file", "write_file"], f"{self.who}: {servers}"
        found = tools["tools"][0]
        assert found["name"] == "read_file" and found["inputSchema"] == READ_FILE["inputSchema"], f"{self.who}: {found}"
        assert [each["id"] for each in found["servers"]] == ["files", "archive"] and tools["all_words"], f"{self.who}: {tools}"
        assert some["tools"][0]["name"] == "read_file" and not some["all_words"], f"{self.who}: {some}"
        shown, sent = one["server"], SERVERS[0]
        assert shown["tools"][0] == READ_FILE, f"{self.who}: the schema that was asked for comes back otherwise: {shown['tools']}"
        assert "inputSchema" not in shown["tools"][1], f"{self.who}: a schema that nobody asked for: {shown['tools']}"
        for member in ["id", "name", "title", "version", "description", "transport", "command", "environment", "metadata"]:
            assert shown[member] == sent[member], f"{self.who}: {member} is {shown[member]}, not {sent[member]}"
        assert shown["prompts"][0]["name"] == "summarise" and shown["resources"][0]["uri_template"] == "file:///{path}", shown
        counts = [status[key] for key in ["role", "servers", "healthy", "tools"]]
        assert counts == ["primary", len(SERVERS), len(HEALTHY), 7], f"{self.who}: {status}"

    def errors(self):
        *tools, unknown, nowhere = self.seen["refused"]
        for (name, (arguments, way_out)), result in zip(WAY_OUT.items(), tools, strict=True):
            assert result.get("isError") is True, f"{self.who}: {name} {arguments} is no tool error: {result}"
            [block] = result["content"]
            assert way_out in block["text"], f"{self.who}: {name} {arguments} says {block['text']!r}, and not {way_out!r}"
            # No schema knows which ids there are.
            takes = jsonschema.Draft202012Validator(self.tools[name]["inputSchema"])
            assert name == "get_server" or not takes.is_valid(arguments), f"{self.who}: the schema of {name} takes {arguments}"
        assert unknown.get("code") == -32602, f"{self.who}: an unknown tool is no protocol error: {unknown}"
        assert "tools/list" in unknown["message"], f"{self.who}: {unknown}"
        # The era of 2026-07-28 has no code of its own for this, and the newer TypeScript SDK knows none in either era.
        assert nowhere.get("code") in ([-32002, -32602] if self.legacy else [-32602]), f"{self.who}: {nowhere}"
        assert f"{ALL}/nobody" in nowhere["message"], f"{self.who}: {nowhere}"

    def resources(self):
        uris = [resource["uri"] for resource in self.seen["resources"]]
        assert uris == [ALL, *(f"{ALL}/{id}" for id in HEALTHY)], f"{self.who}: {uris}"
        assert all(resource["mimeType"] == "application/json" for resource in self.seen["resources"]), f"{self.who}: {uris}"
        [template] = self.seen["templates"]
        assert template["uriTemplate"] == f"{ALL}/{{id}}" and template["title"], f"{self.who}: {template}"
        everything, one = (json.loads(contents["text"]) for contents in self.seen["read"])
        assert [found["id"] for found in everything["servers"]] == HEALTHY, f"{self.who}: {everything}"
        assert one["id"] == "files" and one["capabilities"]["tools"][0] == READ_FILE, f"{self.who}: {one}"

    def changes(self):
        """The slowest of all that was told."""
        if not self.writing:
            return 0
        one = ["updated paulina://servers", "updated paulina://servers/new"]
        slowest = []
        expected = [["list_changed", *one], one, ["list_changed", *one]]
        steps = zip(questions(True)["changes"], expected, self.seen["changes"], strict=True)
        for (name, _, _), told, change in steps:
            self.right(name, change["answer"])
            assert sorted(what for what, _ in change["events"]) == sorted(told), f"{self.who}: after {name}: {change['events']}"
            slowest.append(max(when for _, when in change["events"]))
        assert max(slowest) < SOON, f"{self.who}: told after {max(slowest):.2f} s"
        return max(slowest)


def right(who, tool, result):
    assert not result.get("isError"), f"{who}: {tool['name']}: {result['content']}"
    structured = result["structuredContent"]
    jsonschema.Draft202012Validator(tool["outputSchema"]).validate(structured)
    [block] = result["content"]
    assert block["type"] == "text" and 0 < len(block["text"]) < TEXT, f"{who}: {tool['name']}: {block}"
    assert not block["text"].startswith("{"), f"{who}: {tool['name']} says the same twice"
    return structured


def plain(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


class Python:
    """A client of this generation of the Python SDK."""

    def __init__(self):
        self.client, self.events = None, []

    async def told(self, message):
        if getattr(message, "method", "").startswith("notifications/resources/"):
            self.note(message.method.removeprefix("notifications/resources/"), getattr(message.params, "uri", None))

    def note(self, what, uri):
        self.events.append((f"{what} {uri}" if uri else what, time.monotonic()))

    async def listen(self, subscription):
        async for event in subscription:
            uri = getattr(event, "uri", None)
            self.note("updated" if uri else "list_changed", uri)

    async def call(self, name, arguments, *_):
        return plain(await self.client.call_tool(name, arguments))

    async def change(self, name, arguments, count):
        self.events.clear()
        begun = time.monotonic()
        answer = await self.call(name, arguments)
        while len(self.events) < count and time.monotonic() < begun + 2 * SOON:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        return {"answer": answer, "events": [(what, when - begun) for what, when in self.events]}

    async def changes(self, asked):
        if not asked["changes"]:
            return []
        async with contextlib.AsyncExitStack() as stack:
            if self.client.protocol_version == MODERN:
                listening = self.client.listen(resources_list_changed=True, resource_subscriptions=asked["subscribe"])
                subscription = await stack.enter_async_context(listening)
                task = asyncio.create_task(self.listen(subscription))
                stack.callback(task.cancel)
            else:
                for uri in asked["subscribe"]:
                    await self.client.subscribe_resource(uri)
            return [await self.change(*step) for step in asked["changes"]]

    async def ask(self, target, mode, asked):
        # What a client keeps between listen and its consumer would be counted twice.
        handler = self.told if mode == "legacy" else None
        async with Client(target, mode=mode, message_handler=handler) as self.client:
            client = self.client
            seen = {
                "version": client.protocol_version, "server": plain(client.server_info),
                "capabilities": plain(client.server_capabilities), "instructions": client.instructions,
                "tools": plain(await client.list_tools())["tools"],
                "templates": plain(await client.list_resource_templates())["resourceTemplates"],
                "resources": plain(await client.list_resources())["resources"],
                "answers": [await self.call(*question) for question in asked["calls"]],
                "refused": [await refused(self.call(*question)) for question in asked["refused"]],
                "read": [plain(await client.read_resource(uri))["contents"][0] for uri in asked["read"]],
            }
            seen["refused"].append(await refused(client.read_resource(asked["no_resource"])))
            return {**seen, "changes": await self.changes(asked)}


async def refused(question):
    try:
        return await question
    except MCPError as error:
        return {"code": error.error.code, "message": error.error.message}


def printed(command, **options):
    """The JSON that a program prints."""
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0, f"{command[:4]}: exit code {done.returncode}: {done.stderr[-2000:]}"
    return json.loads(done.stdout)


CLIENTS = [("Python SDK 2", LEGACY, "legacy"), ("Python SDK 2", MODERN, "auto"), ("Python SDK 1", LEGACY, OLDER),
           ("TypeScript SDK 1", LEGACY, [*TYPESCRIPT, "1", "legacy"]), ("TypeScript SDK 2", LEGACY, [*TYPESCRIPT, "2", "legacy"]),
           ("TypeScript SDK 2", MODERN, [*TYPESCRIPT, "2", "auto"])]


async def with_all_clients(where, target, writing):
    print(f"{where}:")
    target, asked = list(map(str, target)), questions(writing)
    command = StdioServerParameters(command=target[0], args=target[1:])
    for name, version, way in CLIENTS:
        if isinstance(way, str):
            seen = await Python().ask(target[0] if len(target) == 1 else command, way, asked)
        else:
            seen = await asyncio.to_thread(printed, [*way, json.dumps(asked), *target])
        Asked(f"{name} ({version})", version, writing, seen).check()


def started(name, *arguments):
    folder = FOLDER / name
    folder.mkdir(parents=True)
    registry = Registry(folder / "paulina.db", *arguments)
    registry.start()
    atexit.register(registry.process.kill)
    return registry


def fill(registry):
    for each in SERVERS:
        registry.curl("/v1/servers", body=each)
    # That a lease has run out is a change, too, and the last one here.
    wait_until(lambda: registry.curl("/v1/stats")["revision"].endswith(f"-{len(SERVERS) + 1}"), 5, "a lease of a second runs out")
    assert registry.ids("healthy=false") == ["gone"]


async def over_http(registry):
    await with_all_clients("streamable HTTP, /mcp", [f"{registry.url}/mcp"], True)


async def over_standard_input(registry):
    ask = [BINARY, "mcp", "--registry", registry.url]
    await with_all_clients("paulina mcp, of a registry", ask, False)
    await with_all_clients("paulina mcp --allow-writing, of a registry", [*ask, "--allow-writing"], True)


async def of_a_file():
    """Nobody serves it; while somebody does, it is not opened."""
    registry = started("file", "--retention", "1h")
    fill(registry)
    command = [BINARY, "mcp", "--database", registry.database]
    refusal = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert refusal.returncode == 1 and "is served by another process" in refusal.stderr, f"a served file: {refusal.stderr}"
    registry.stop()
    await with_all_clients("paulina mcp --database, nobody serves it", command, False)
    await with_all_clients("paulina mcp --database --allow-writing", [*command, "--allow-writing"], True)


async def find_servers(registry):
    async with Client(f"{registry.url}/mcp") as client:
        tools = {tool["name"]: tool for tool in plain(await client.list_tools())["tools"]}
        arguments = set()
        for filters, expected in FOUND:
            jsonschema.Draft202012Validator(tools["find_servers"]["inputSchema"]).validate(filters)
            result = plain(await client.call_tool("find_servers", filters))
            found = right("find_servers", tools["find_servers"], result)
            ids = [found["id"] for found in found["servers"]]
            # In the order of registration, or with words best first: those that hold every word, and others behind them.
            best = sorted(ids[:len(expected)]) == sorted(expected)
            same = best if "query" in filters else ids == expected
            assert same, f"find_servers {filters} finds {ids}, not {expected}"
            assert found["more"] == (filters.get("limit") == 2), f"find_servers {filters}: more is {found['more']}"
            lines = result["content"][0]["text"].splitlines()
            assert len(lines) == max(1, len(ids) + found["more"]), f"find_servers {filters}: not a line for each: {lines}"
            arguments |= filters.keys()
        assert arguments == tools["find_servers"]["inputSchema"]["properties"].keys(), f"not tried: {arguments}"
    print(f"find_servers: {len(FOUND)} questions with all {len(arguments)} arguments")


WORDS = ("create update delete list search fetch sync export import merge branch issue comment review deploy monitor alert "
         "metric query table column invoice customer order payment ticket calendar event message channel folder image render "
         "convert translate summarise").split()


def large(number):
    """A server as large ones are: ten tools, each with a schema of 3 to 12 KB."""
    chance = random.Random(number)

    def schema(size):
        properties = {}
        while len(json.dumps(properties)) < size:
            name = "_".join(chance.sample(WORDS, 2)) + f"_{len(properties)}"
            properties[name] = {"type": chance.choice(["string", "integer", "boolean"]),
                                "description": " ".join(chance.choices(WORDS, k=14))}
        return {"type": "object", "properties": properties, "required": list(properties)[:2]}

    # As in life, a dozen are installed in many places.
    chance = random.Random(number % 12 if number < 60 else number)
    tools = [{"name": "_".join([*chance.sample(WORDS, 2), str(place)]), "description": " ".join(chance.choices(WORDS, k=70)),
              "inputSchema": schema(chance.randrange(3_000, 12_000))} for place in range(10)]
    name = f"com.example/{chance.choice(WORDS)}-{number % 12 if number < 60 else number}"
    return {"id": f"large-{number}", "name": name, "version": "1.0.0", "transport": "http",
            "url": f"https://large-{number}.example/mcp", "description": " ".join(chance.choices(WORDS, k=30)),
            "capabilities": {"tools": tools}, "tags": [f"t{number % 7}"], "ttl": 3600}


async def fits_a_window():
    registry = started("window")
    servers = [large(number) for number in range(200)]
    for each in servers:
        registry.curl("/v1/servers", body=each)
    schemas = {(each["id"], tool["name"]): tool["inputSchema"] for each in servers for tool in each["capabilities"]["tools"]}
    async with Client(f"{registry.url}/mcp") as client:
        tools = {tool["name"]: tool for tool in plain(await client.list_tools())["tools"]}

        async def asked(name, **arguments):
            begun = time.monotonic()
            result = plain(await client.call_tool(name, arguments))
            took = time.monotonic() - begun
            return right(name, tools[name], result), len(json.dumps(result, ensure_ascii=False).encode()), took

        queries = [*WORDS, "create issue", "send a message to the channel", "monitor"]
        for limit in [{}, {"limit": 20}]:
            sizes, times, omitted, shown = [], [], [], 0
            for query in queries:
                found, size, took = await asked("find_tools", query=query, **limit)
                assert len(found["tools"]) == limit.get("limit", 5), f"find_tools {query!r} {limit}: {len(found['tools'])} tools"
                for each in found["tools"]:
                    if each["inputSchema"] is None:
                        omitted.append((each["name"], each["servers"][0]["id"]))
                        continue
                    shown += 1
                    sent = schemas[each["servers"][0]["id"], each["name"]]
                    assert each["inputSchema"] == sent, f"the schema of {each['name']} comes back otherwise"
                sizes.append(size)
                times.append(took)
            print(f"find_tools {limit or '(5 tools)'}, 200 servers, 2,000 tools, {len(json.dumps(servers)) >> 20} MiB: answers "
                  f"of {min(sizes):,} to {max(sizes):,} bytes, {shown} schemas in them, {len(omitted)} left out, "
                  f"median {median(times) * 1000:.0f} ms, slowest {max(times) * 1000:.0f} ms")
            assert omitted and shown, f"find_tools {limit}: {shown} schemas shown, {len(omitted)} left out"
            assert max(sizes) < WINDOW * (1 if not limit else 2), f"find_tools {limit}: an answer of {max(sizes)} bytes"
        for name, id in omitted[:20]:
            one, size, _ = await asked("get_server", id=id, schemas_of=[name])
            whole = [tool for tool in one["server"]["tools"] if "inputSchema" in tool]
            assert [tool["name"] for tool in whole] == [name], f"get_server {id} shows the schemas of {whole}"
            assert whole[0]["inputSchema"] == schemas[id, name], f"get_server {id} shows {name} otherwise"
            assert size < WINDOW, f"get_server {id} with one schema: {size} bytes"
        found, size, _ = await asked("find_servers", limit=50)
        assert len(found["servers"]) == 50 and found["more"] and size < 1.5 * WINDOW, f"find_servers: {size} bytes"
        print(f"find_servers with 50 servers: {size:,} bytes; get_server with a schema that was left out: as it was registered")
        uris, cursor = [], None
        while True:
            page = await client.list_resources(cursor=cursor)
            uris += [resource.uri for resource in page.resources]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert uris == [ALL, *(f"{ALL}/{each['id']}" for each in servers)], f"resources/list lists {len(uris)}"
    registry.stop()


class Raw:
    """What an HTTP client may send to /mcp."""

    def __init__(self, registry, token=None):
        self.port, self.session = registry.port, None
        self.headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        if token:
            self.headers["authorization"] = f"Bearer {token}"

    def send(self, method, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = {**self.headers, **headers, **({"mcp-session-id": self.session} if self.session else {})}
        connection.request(method, "/mcp", json.dumps(body) if body else None, headers)
        return connection.getresponse()

    def initialize(self):
        params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
        answer = self.send("POST", {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
        assert answer.status == 200, f"initialize: {answer.status}"
        self.session = answer.headers["mcp-session-id"]
        answer.read()
        self.send("POST", {"jsonrpc": "2.0", "method": "notifications/initialized"}).read()
        return self

    def stream(self):
        answer = self.send("GET", accept="text/event-stream")
        assert answer.status == 200, f"the stream of a session: {answer.status}"
        return answer

    def listen(self):
        meta = {"protocolVersion": MODERN, "clientInfo": {"name": "raw", "version": "1"}, "clientCapabilities": {}}
        params = {"notifications": {"resourcesListChanged": True, "resourceSubscriptions": [f"{ALL}/new"]},
                  "_meta": {f"io.modelcontextprotocol/{key}": value for key, value in meta.items()}}
        body = {"jsonrpc": "2.0", "id": 7, "method": "subscriptions/listen", "params": params}
        answer = self.send("POST", body, **{"mcp-protocol-version": MODERN, "mcp-method": "subscriptions/listen"})
        assert answer.status == 200, f"subscriptions/listen: {answer.status}"
        return answer


def problem(answer):
    return answer.status, json.loads(answer.read()).get("code")


async def ended(streams, seconds, what):
    """Reads streams to their ends; the seconds until the last one ended, and what they said."""
    begun, texts = time.monotonic(), {}

    def read(place):
        texts[place] = streams[place].read().decode()

    for place in range(len(streams)):
        # One that never ends must not hold up the end of the test.
        threading.Thread(target=read, args=[place], daemon=True).start()
    while len(texts) < len(streams):
        assert time.monotonic() < begun + seconds, f"{what}: {len(streams) - len(texts)} streams are open after {seconds} s"
        await asyncio.sleep(0.005)
    return time.monotonic() - begun, [texts[place] for place in range(len(streams))]


async def strangers(registry):
    raw, greeting = Raw(registry), {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    for method in ["POST", "GET", "DELETE"]:
        body = greeting if method == "POST" else None
        for name, value in [("origin", "https://evil.example"), ("origin", "null"), ("host", "evil.example")]:
            refusal = problem(raw.send(method, body, **{name: value}))
            assert refusal == (403, f"{name}_not_allowed"), f"{method} with {name}: {value}: {refusal}"
    own = raw.initialize().send("POST", greeting, origin=registry.url)
    assert own.status == 200, f"its own origin: {own.status}"
    print("a foreign Origin and a foreign Host: 403 at POST, GET and DELETE; its own origin may ask")


def token(registry, name, role):
    command = [BINARY, "token", "create", "--database", registry.database, "--name", name, "--role", role]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]


def owner(registry, tokens):
    request = urllib.request.Request(f"{registry.url}/v1/servers/new", headers={"authorization": f"Bearer {tokens['boss']}"})
    return json.load(urllib.request.urlopen(request, timeout=20))["owner"]


async def access():
    registry = started("access")
    registry.curl("/v1/servers", body=SERVERS[0])
    tokens = {name: token(registry, name, role) for name, role in
              [("reader", "read"), ("ci", "register"), ("other", "register"), ("boss", "admin")]}
    for secret in [None, "paulina_" + "x" * 43]:
        answer = Raw(registry, secret).send("POST", {"jsonrpc": "2.0", "id": 1, "method": "ping"})
        assert answer.headers["www-authenticate"].startswith("Bearer"), "401 does not say how"
        assert problem(answer) == (401, "unauthorized"), f"with the token {secret}"
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        for mode in ["legacy", "auto"]:
            await with_tokens(registry, tokens, mode)
    said = subprocess.run([BINARY, "mcp", "--registry", registry.url, "--token", tokens["reader"]], input="", text=True,
                          capture_output=True)
    log = registry.database.with_suffix(".log").read_text() + said.stderr
    assert not any(secret in log for secret in tokens.values()), "a token stands in the log"
    for mode in ["legacy", "auto"]:
        for name, writing in [("reader", False), ("ci", True)]:
            arguments = ["mcp", "--registry", registry.url, "--token", tokens[name], "--allow-writing"]
            async with Client(StdioServerParameters(command=str(BINARY), args=arguments), mode=mode) as client:
                result = plain(await client.call_tool("register_server", {"registration": new("By paulina mcp")}))
                assert bool(result.get("isError")) != writing, f"paulina mcp --token of {name}: {result}"
    assert owner(registry, tokens) == "ci", "paulina mcp registers for nobody"
    print("tokens: without one 401; read 4 tools, register 6 and what it registers is its own, over HTTP and paulina mcp")
    await revoked(registry, tokens)
    registry.stop()


async def with_tokens(registry, tokens, mode):
    async def tools_and(name, *calls):
        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {tokens[name]}"}) as http_client:
            async with Client(streamable_http_client(f"{registry.url}/mcp", http_client=http_client), mode=mode) as client:
                tools = [tool.name for tool in (await client.list_tools()).tools]
                return tools, [plain(await client.call_tool(*call)) for call in calls]

    register = ("register_server", {"registration": new("By a token")})
    deregister = ("deregister_server", {"id": "new"})
    tools, [reading, writing] = await tools_and("reader", ("registry_status", {}), register)
    assert tools == READING and not reading.get("isError"), f"{mode}: a token that may read: {tools}, {reading}"
    assert writing["isError"] and "role register" in writing["content"][0]["text"], f"{mode}: a reader registers: {writing}"
    tools, [result] = await tools_and("ci", register)
    assert tools == READING + WRITING and not result.get("isError"), f"{mode}: a token that may register: {tools}, {result}"
    whose = owner(registry, tokens)
    assert whose == "ci", f"{mode}: what the token ci registers belongs to {whose}"
    _, results = await tools_and("other", register, deregister)
    for result in results:
        text = result["content"][0]["text"]
        assert result["isError"] and "belongs to another token" in text, f"{mode}: somebody else's server: {result}"
    _, [result] = await tools_and("boss", deregister)
    assert not result.get("isError"), f"{mode}: an admin takes it out: {result}"


async def revoked(registry, tokens):
    """As the streams of /v1/watch, those of /mcp tell nothing more when their token is revoked, and end."""
    streams = [Raw(registry, tokens["reader"]).initialize().stream(), Raw(registry, tokens["reader"]).listen()]
    subprocess.run([BINARY, "token", "revoke", "--database", registry.database, "--name", "reader"], check=True,
                   stdout=subprocess.DEVNULL)
    command = [BINARY, "deregister", "new", "--registry", registry.url, "--token", tokens["boss"]]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    took, texts = await ended(streams, REVOKED, "after their token was revoked")
    assert not any("resources/updated" in text for text in texts), f"told after their token was revoked: {texts}"
    print(f"a token is revoked: its streams have ended {took:.1f} s later")


async def stop():
    """Streams end when the registry does; that of the era of 2026-07-28 with the answer that says so."""
    registry = started("stop")
    raw = Raw(registry)
    streams = [Raw(registry).initialize().stream(), raw.listen()]
    async with Client(f"{registry.url}/mcp") as client, client.listen(resources_list_changed=True) as subscription:
        registry.curl("/v1/servers", body=SERVERS[0])
        assert await asyncio.wait_for(anext(subscription), SOON), "nothing was told"
        ending = asyncio.gather(ended(streams, ENDED, "after SIGTERM"), asyncio.to_thread(registry.stop))
        (took, [_, listened]), _ = await ending
        print(f"SIGTERM: all streams have ended {took:.2f} s later")
        assert '"id":7,"result"' in listened, f"subscriptions/listen was cut off without its answer: …{listened[-200:]!r}"
        with contextlib.suppress(StopAsyncIteration):
            await asyncio.wait_for(anext(subscription), 5)
    log = registry.database.with_suffix(".log").read_text()
    assert "ERROR" not in log, f"an orderly stop logs an error: {log}"


def inspected(target, *arguments, code=0):
    """What the Inspector prints."""
    command = [*INSPECTOR, *target, "--format", "json", "-q", *arguments]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, f"mcp-inspector {arguments}: exit code {done.returncode}: {done.stdout}{done.stderr}"
    return json.loads(done.stdout or done.stderr)


async def by_the_inspector(registry):
    url = f"{registry.url}/mcp"
    find = ["--method", "tools/call", "--tool-name", "find_tools", "--tool-arg", "query=read file"]
    for where, target, writing in [
        ("HTTP", [url, "--transport", "http"], True),
        ("stdio", [BINARY, "mcp", "--registry", registry.url], False),
    ]:
        for era in ["legacy", "modern"]:
            def ask(*arguments, code=0):
                return inspected(target, "--protocol-era", era, "--method", *arguments, code=code)  # noqa: B023

            tools = ask("tools/list")["result"]["tools"]
            names = [tool["name"] for tool in tools]
            assert names == READING + (WRITING if writing else []), f"{where}, {era}: {names}"
            found = right("Inspector", tools[1], inspected(target, "--protocol-era", era, *find)["result"])
            assert found["tools"][0]["name"] == "read_file", f"{where}, {era}: {found}"
            uris = [resource["uri"] for resource in ask("resources/list")["result"]["resources"]]
            assert uris == [ALL, *(f"{ALL}/{id}" for id in HEALTHY)], f"{where}, {era}: {uris}"
            [template] = ask("resources/templates/list")["result"]["resourceTemplates"]
            assert template["uriTemplate"] == f"{ALL}/{{id}}", f"{where}, {era}: {template}"
            [read] = ask("resources/read", "--uri", f"{ALL}/files")["result"]["contents"]
            assert json.loads(read["text"])["id"] == "files", f"{where}, {era}: {read}"
            # 5 is its code for an answer that is a tool error.
            ask("tools/call", "--tool-name", "find_tools", "--tool-arg", "query=x", "limit=99", code=5)
        print(f"the Inspector over {where}, both eras: tools, resources, the template, a call, a tool error")
    for arguments in [["--method", "tools/list"], find]:
        print(f"\n$ mcp-inspector --cli {url} --transport http {shlex.join(arguments)}")
        shown = inspected([url, "--transport", "http"], *arguments)["result"]
        for tool in shown.get("tools", []):
            tool.update({key: "…" for key in ["inputSchema", "outputSchema"]}, description=tool["description"][:60] + " …")
        lines = [json.dumps(part, ensure_ascii=False) for part in shown.pop("tools", [])] or [json.dumps(shown, indent=1)]
        print("\n".join(lines))


async def silence(registry, seconds):
    """A session that nobody says anything in."""
    async with Client(f"{registry.url}/mcp", mode="legacy") as client:
        await client.list_tools()
        await asyncio.sleep(seconds)
        try:
            tools = (await client.list_tools(cache_mode="bypass")).tools
        except MCPError as error:
            raise AssertionError(f"a session is gone after {seconds} s of silence: {error}") from error
        assert len(tools) == len(READING + WRITING), f"after {seconds} s of silence: {tools}"
    print(f"a session of {LEGACY} goes on after {seconds:.0f} s of silence")


class Complaints(logging.Handler):
    """What the Python SDK warns of, each once, but for what it says when it is left in the middle of a stream."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.counts = Counter()

    def emit(self, record):
        cause = record.exc_info[1] if record.exc_info else None
        if not isinstance(cause, (anyio.BrokenResourceError, anyio.ClosedResourceError)):
            self.counts[f"{record.getMessage()} {cause or ''}".strip()] += 1


def causes(error):
    """What went wrong in a group of tasks."""
    return sum(map(causes, error.exceptions), []) if isinstance(error, BaseExceptionGroup) else [error]


async def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 330
    complaints, failed = Complaints(), 0
    logging.getLogger("mcp").addHandler(complaints)
    shutil.rmtree(FOLDER, ignore_errors=True)
    registry, quiet = started("registry", "--retention", "1h"), started("quiet")
    fill(registry)
    waiting = asyncio.create_task(silence(quiet, seconds))
    for check in [
        over_http(registry), over_standard_input(registry), of_a_file(), find_servers(registry), fits_a_window(),
        strangers(registry), access(), stop(), by_the_inspector(registry), waiting,
    ]:
        try:
            await check
        except Exception as error:
            for cause in causes(error):
                print("FAILED", "".join(traceback.format_exception(cause)), flush=True)
            failed += 1
    registry.stop()
    quiet.stop()
    for complaint, times in complaints.counts.items():
        print(f"the Python SDK warns, {times} times: {complaint}")
    assert not failed, f"{failed} of the checks failed"
    print("registry_mcp: passed")


if __name__ == "__main__":
    asyncio.run(main())
