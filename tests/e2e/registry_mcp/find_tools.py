"""The results of the find tools: correct, and small enough for the context window of a model."""

import json
import random
import time
from statistics import median

import jsonschema
from mcp import Client

from registry_mcp.python_sdk import plain
from registry_mcp.registry import start_registry
from registry_mcp.report import checked_result
from registry_mcp.servers import ALL, FOUND

WINDOW = 40_000  # bytes of a result: about 10,000 tokens


async def find_servers(registry):
    async with Client(f"{registry.url}/mcp") as client:
        tools = {tool["name"]: tool for tool in plain(await client.list_tools())["tools"]}
        arguments = set()
        for filters, expected in FOUND:
            jsonschema.Draft202012Validator(tools["find_servers"]["inputSchema"]).validate(filters)
            result = plain(await client.call_tool("find_servers", filters))
            found = checked_result("find_servers", tools["find_servers"], result)
            ids = [found["id"] for found in found["servers"]]
            # In the order of registration, or for a query by rank: first those with every word, then others.
            ranked = sorted(ids[: len(expected)]) == sorted(expected)
            correct = ranked if "query" in filters else ids == expected
            assert correct, f"find_servers {filters} finds {ids}, not {expected}"
            assert found["more"] == (filters.get("limit") == 2), f"find_servers {filters}: more is {found['more']}"
            lines = result["content"][0]["text"].splitlines()
            assert len(lines) == max(1, len(ids) + found["more"]), (
                f"find_servers {filters}: one line for each expected: {lines}"
            )
            arguments |= filters.keys()
        assert arguments == tools["find_servers"]["inputSchema"]["properties"].keys(), (
            f"not all arguments tried: {arguments}"
        )
    print(f"find_servers: {len(FOUND)} queries with all {len(arguments)} arguments")


WORDS = (
    "create update delete list search fetch sync export import merge branch issue comment review deploy monitor alert "
    "metric query table column invoice customer order payment ticket calendar event message channel folder image "
    "render "
    "convert translate summarize"
).split()


def large(number):
    """Returns a large server: ten tools, each with a schema of 3 to 12 KB."""
    chance = random.Random(number)

    def schema(size):
        properties = {}
        while len(json.dumps(properties)) < size:
            name = "_".join(chance.sample(WORDS, 2)) + f"_{len(properties)}"
            properties[name] = {
                "type": chance.choice(["string", "integer", "boolean"]),
                "description": " ".join(chance.choices(WORDS, k=14)),
            }
        return {"type": "object", "properties": properties, "required": list(properties)[:2]}

    # As in practice, a dozen servers are installed in many places.
    chance = random.Random(number % 12 if number < 60 else number)
    tools = [
        {
            "name": "_".join([*chance.sample(WORDS, 2), str(place)]),
            "description": " ".join(chance.choices(WORDS, k=70)),
            "inputSchema": schema(chance.randrange(3_000, 12_000)),
        }
        for place in range(10)
    ]
    name = f"com.example/{chance.choice(WORDS)}-{number % 12 if number < 60 else number}"
    return {
        "id": f"large-{number}",
        "name": name,
        "version": "1.0.0",
        "transport": "http",
        "url": f"https://large-{number}.example/mcp",
        "description": " ".join(chance.choices(WORDS, k=30)),
        "capabilities": {"tools": tools},
        "tags": [f"t{number % 7}"],
        "ttl": 3600,
    }


async def result_sizes():
    registry = start_registry("window")
    servers = [large(number) for number in range(200)]
    for each in servers:
        registry.curl("/v1/servers", body=each)
    schemas = {
        (each["id"], tool["name"]): tool["inputSchema"] for each in servers for tool in each["capabilities"]["tools"]
    }
    async with Client(f"{registry.url}/mcp") as client:
        tools = {tool["name"]: tool for tool in plain(await client.list_tools())["tools"]}

        async def call(name, **arguments):
            started_at = time.monotonic()
            result = plain(await client.call_tool(name, arguments))
            took = time.monotonic() - started_at
            return checked_result(name, tools[name], result), len(json.dumps(result, ensure_ascii=False).encode()), took

        queries = [*WORDS, "create issue", "send a message to the channel", "monitor"]
        for limit in [{}, {"limit": 20}]:
            sizes, times, omitted, shown = [], [], [], 0
            for query in queries:
                found, size, took = await call("find_tools", query=query, **limit)
                assert len(found["tools"]) == limit.get("limit", 5), (
                    f"find_tools {query!r} {limit}: {len(found['tools'])} tools"
                )
                for each in found["tools"]:
                    if each["inputSchema"] is None:
                        omitted.append((each["name"], each["servers"][0]["id"]))
                        continue
                    shown += 1
                    sent = schemas[each["servers"][0]["id"], each["name"]]
                    assert each["inputSchema"] == sent, f"the schema of {each['name']} differs from the registered one"
                sizes.append(size)
                times.append(took)
            print(
                f"find_tools {limit or '(5 tools)'}, 200 servers, 2,000 tools, {len(json.dumps(servers)) >> 20} MiB: "
                "results "
                f"of {min(sizes):,} to {max(sizes):,} bytes, {shown} schemas in them, {len(omitted)} omitted, "
                f"median {median(times) * 1000:.0f} ms, slowest {max(times) * 1000:.0f} ms"
            )
            assert omitted and shown, f"find_tools {limit}: {shown} schemas shown, {len(omitted)} omitted"
            assert max(sizes) < WINDOW * (1 if not limit else 2), f"find_tools {limit}: a result of {max(sizes)} bytes"
        for name, id in omitted[:20]:
            one, size, _ = await call("get_server", id=id, schemas_of=[name])
            whole = [tool for tool in one["server"]["tools"] if "inputSchema" in tool]
            assert [tool["name"] for tool in whole] == [name], f"get_server {id} shows the schemas of {whole}"
            assert whole[0]["inputSchema"] == schemas[id, name], f"get_server {id} returns a different schema of {name}"
            assert size < WINDOW, f"get_server {id} with one schema: {size} bytes"
        found, size, _ = await call("find_servers", limit=50)
        assert len(found["servers"]) == 50 and found["more"] and size < 1.5 * WINDOW, f"find_servers: {size} bytes"
        print(f"find_servers with 50 servers: {size:,} bytes; get_server with an omitted schema: as registered")
        uris, cursor = [], None
        while True:
            page = await client.list_resources(cursor=cursor)
            uris += [resource.uri for resource in page.resources]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert uris == [ALL, *(f"{ALL}/{each['id']}" for each in servers)], f"resources/list lists {len(uris)}"
    registry.stop()
