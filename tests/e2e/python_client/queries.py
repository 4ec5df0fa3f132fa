"""Registering, refreshing and finding servers, and the errors."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import paulina

from harness import free_port
from python_client.common import KIND, Client, raises


def queries(registry):
    client = Client(registry.url)
    schema = {"type": "object", "properties": {"path": {"type": "string", "default": None}}, "x-kept": [1, {"a": None}]}
    tools = ["write_file", {"name": "read_file", "title": "Read", "inputSchema": schema, "_meta": {"x/y": 0.1}}]
    first = client.register(
        "files",
        id="files-1",
        title="Files",
        version="1.2.0",
        description="Reads files.",
        command=["mcp-files", "/srv"],
        tools=tools,
        resources=["file://*", {"uri": "notes://all", "name": "notes"}],
        prompts=["summarize"],
        capabilities={"sampling": True, "logging": {}, "no": False},
        tags=["production", "local"],
        metadata={"team": "search"},
        environment=["API_KEY", {"name": "DEBUG"}],
        ttl=60,
    )
    other = client.register(
        "web",
        id="web-1",
        url="http://127.0.0.1:1/mcp",
        tools=["fetch"],
        tags=["production"],
        ttl=60,
        headers=[{"name": "authorization", "secret": True}],
    )
    client.register("old", id="old-1", transport="sse", url="http://127.0.0.1:1/sse", tools=["fetch"], ttl=60)
    assert first.created and first.lease and other.server.transport == "streamable-http"

    record = client.get("files-1")
    assert record == first.server and hash(record) == hash(first.server)
    assert record.tools[1] == tools[1], "the tool differs from its registration"
    assert record.resources == ({"uri_template": "file://*"}, {"uri": "notes://all", "name": "notes"})
    assert record.capabilities.flags == {"sampling": True, "logging": {}, "no": False}
    assert (
        record.command == ("mcp-files", "/srv") and record.environment[0].required and not record.environment[1].secret
    )
    assert 59.9 < (record.expires_at - record.refreshed_at).total_seconds() < 60.1
    assert client.get("none") is None and client.health("none") is None

    found = {
        ("files-1",): [
            {"tool": "read_file"},
            {"name": "files"},
            {"prompt": "summarize"},
            {"resource": "file:///etc/x"},
            {"resource": "notes://all"},
            {"capability": "sampling"},
            {"tag": "local"},
            {"version": "1.2.0"},
            {"metadata": {"team": "search"}},
            {"q": "read fil", "match": "all"},
            {"transport": "stdio"},
            {"tags": ["production", "local"]},
            {"tool": ["read_file", "write_file"]},
            {"limit": 1},
        ],
        ("files-1", "web-1"): [{"tags": ["production"]}, {"tag": "production", "healthy": True}],
        ("web-1", "old-1"): [{"tool": "fetch", "healthy": "any"}],
        ("web-1",): [{"transport": "streamable-http"}, {"transport": "http"}],
        (): [{"owner": "nobody"}, {"healthy": False}, {"capability": "no"}, {"tool": ["read_file", "fetch"]}],
    }
    for expected, queries in found.items():
        for query in queries:
            ids = tuple(server.id for server in client.find(**query))
            assert ids == expected, f"{query} finds {ids}"
    assert "inputSchema" not in client.find(tool="read_file").first().tools[1], "a summary has no schemas"
    assert client.find(tool="read_file", view="full").first().tools[1] == tools[1]
    assert client.find(name="nobody").first() is None
    assert KIND == "async" or (client.find(name="web") and not client.find(name="nobody")), (
        "a result must be true if it is not empty"
    )
    fetch = next(iter(client.tools(tool="fetch")))
    assert [server.id for server in fetch.servers] == ["web-1", "old-1"] and fetch.definitions == 1
    assert {tool.name for tool in client.tools(q="file", tag="local")} == {"read_file", "write_file"}
    stats = client.stats()
    assert stats.servers.total == 3 and stats.servers.by_tag == {"local": 1, "production": 2} and stats.tools == 4

    # The lease.
    again = client.register("files", id="files-1", command=["mcp-files"], ttl=60)
    assert not again.created and again.lease != first.lease
    raises(paulina.LeaseReplaced, lambda: client.refresh(first), "files-1", "another process")
    raises(paulina.LeaseReplaced, lambda: client.deregister(first))
    assert client.refresh(again).refresh_after_ms == 30_000 and client.refresh("files-1").health == "healthy"
    batch = client.refresh_many(["files-1", "none"])
    assert batch.refreshed[0].id == "files-1" and batch.not_registered == ("none",)
    assert 0 < client.health("files-1").expires_in_ms <= 60_000
    raises(paulina.NotRegistered, lambda: client.refresh("none"), "none", "register it again")
    client.deregister(again)
    raises(paulina.NotRegistered, lambda: client.deregister("files-1"))

    # Errors.
    for query in ({"limit": 0}, {"q": " "}, {"healthy": "perhaps"}, {"tag": ""}, {"transport": "pigeon"}):
        error = raises(paulina.InvalidFilter, lambda query=query: list(client.find(**query)))
        assert next(iter(query)) in str(error), f"{error} does not name {query}"
    raises(TypeError, lambda: client.find(tol="x"), "'tol'", "tool")
    raises(TypeError, lambda: client.register("x", comand=["x"]), "'comand'", "command")
    raises(TypeError, lambda: client.register("x"), "command=", "url=")
    raises(TypeError, lambda: client.register("x", command="mcp-files /srv"), "['mcp-files', '/srv']")
    wrong = raises(paulina.ApiError, lambda: client.register("ä", command=["x"], ttl=0), "/name", "/ttl")
    assert wrong.status == 422 and wrong.code == "invalid_registration" and not wrong.temporary
    assert [pointer for pointer, _ in wrong.errors] == ["/name", "/ttl"]
    taken = raises(paulina.ApiError, lambda: client.register("w", id="web-1", command=["x"], new_only=True))
    assert taken.code == "already_registered"
    raises(paulina.NoHealthyServers, lambda: client.pick("nobody"), "'nobody'", "wait")
    unreachable = raises(
        paulina.Unreachable, Client(f"http://127.0.0.1:{free_port()}").stats, "paulina serve", "PAULINA_URL"
    )
    assert unreachable.temporary
    other = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    not_a_registry = Client(f"http://127.0.0.1:{other.server_port}")
    raises(paulina.NotARegistry, not_a_registry.stats, "is not a Paulina registry")
    raises(paulina.NotARegistry, lambda: next(not_a_registry.watch()))
    with not_a_registry.keep_alive("x", command=["x"]) as waiting:
        raises(paulina.NotARegistry, lambda: waiting.registered(0.5))
    raises(paulina.InvalidAddress, lambda: Client("ftp://x"), "neither http nor https")
    passwords = {
        "http://me:secret@h": "PAULINA_TOKEN",
        "http://secret@h:1/paulina": "PAULINA_TOKEN",
        "http://me:secret/@h": "cannot be parsed",
        "http://a\n:secret@h": "cannot be parsed",
        "me:secret@h": "neither",
    }
    for address, message in passwords.items():
        error = raises(paulina.InvalidAddress, lambda address=address: Client(address), "@h", message)
        assert "secret" not in f"{error} {error!r} {error.__cause__}", f"{error!r} contains the secret"
    raises(paulina.InvalidToken, lambda: Client(registry.url, token="two words"))

    # All pages, and at most `limit` servers.
    for number in range(250):
        client.register("many", id=f"many-{number}", command=["x"], ttl=60)
    ids = [server.id for server in client.find(name="many")]
    assert ids == [f"many-{number}" for number in range(250)], "all pages, in order"
    assert len(list(client.find(name="many", limit=120))) == 120
    page = client.find(name="many", limit=200).page()
    rest = client.find().page(page.next_cursor)
    assert len(page.items) == 200 and len(rest.items) == 50 and rest.next_cursor is None
    assert len({client.pick("many").id for _ in range(40)}) > 20, "pick must choose among all servers"
    client.close()
    print(f"{KIND}: registers, finds by every filter, reads all pages; every error has its type")
