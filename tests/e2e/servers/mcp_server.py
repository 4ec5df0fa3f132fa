"""A real MCP server: started, introspected, registered as it is, and refreshed while its session responds."""

import asyncio
import atexit
import subprocess
import urllib.request

from mcp import Client, StdioServerParameters

from harness import ROOT, WORK, environment, free_port, wait_until

TTL = 4
HEARTBEAT = 1


async def pages(ask, member):
    """Returns every item of a paged MCP list, as the JSON that the server sent."""
    items, cursor = [], None
    while True:
        page = await ask(cursor=cursor)
        items += [item.model_dump(mode="json", by_alias=True, exclude_unset=True) for item in getattr(page, member)]
        cursor = page.next_cursor
        if cursor is None:
            return items


async def introspect(client):
    """Introspects a server. Requests only the lists that it declares as capabilities."""
    declared = client.server_capabilities
    tools = await pages(client.list_tools, "tools") if declared.tools else []
    resources, prompts = [], []
    if declared.resources:
        resources = await pages(client.list_resources, "resources")
        resources += await pages(client.list_resource_templates, "resource_templates")
    if declared.prompts:
        prompts = await pages(client.list_prompts, "prompts")
    flags = declared.model_dump(mode="json", by_alias=True, exclude_none=True)
    flags = {name: options for name, options in flags.items() if name not in ("tools", "resources", "prompts")}
    return {"tools": tools, "resources": resources, "prompts": prompts, **flags}


class Server:
    """One MCP server: started, introspected, and alive while its session responds."""

    def __init__(self, name, target, transport, tags):
        self.name, self.target, self.transport, self.tags = name, target, transport, tags
        self.stopping, self.ready, self.alive = asyncio.Event(), asyncio.Event(), False
        self.registration = None

    async def run(self):
        target = self.target
        if isinstance(target, list):
            target = StdioServerParameters(command=target[0], args=target[1:], env=environment())
        async with Client(target) as client:
            info = client.server_info
            connection = {"command": self.target} if self.transport == "stdio" else {"url": self.target}
            self.registration = {
                "id": f"{self.name}-e2e",
                "name": self.name,
                "version": info.version,
                "transport": self.transport,
                **connection,
                "capabilities": await introspect(client),
                "tags": self.tags,
                "metadata": {"suite": "e2e"},
                "ttl": TTL,
            }
            self.alive = True
            self.ready.set()
            while not self.stopping.is_set():
                await client.list_tools(cache_mode="bypass")
                try:
                    await asyncio.wait_for(self.stopping.wait(), HEARTBEAT)
                except TimeoutError:
                    pass
            self.alive = False


def as_returned(resource):
    """Returns a resource as the registry returns it, with its own name for templates."""
    return {"uri_template" if key == "uriTemplate" else key: value for key, value in resource.items()}


def check_record(registry, server):
    sent, record = server.registration, registry.curl(f"/v1/servers/{server.registration['id']}")
    capabilities = {
        **sent["capabilities"],
        "resources": [as_returned(item) for item in sent["capabilities"]["resources"]],
    }
    assert record["capabilities"] == capabilities, f"{server.name} differs from its registration"
    assert record["tags"] == sorted(sent["tags"])
    for member in ("id", "name", "version", "transport", "metadata", "ttl"):
        assert record[member] == sent[member], (server.name, member)


async def heartbeats(registry, servers, counts):
    """Refreshes all live servers once a second in one batch. None may be unknown to the registry."""
    while True:
        ids = [server.registration["id"] for server in servers if server.alive]
        answer = await asyncio.to_thread(registry.curl, "/v1/refresh", body={"ids": ids}, fail=False)
        counts["refreshed" if answer else "unanswered"] += len(ids)
        assert not answer or answer["not_registered"] == [], f"lost: {answer['not_registered']}"
        await asyncio.sleep(HEARTBEAT)


def start_http_servers():
    notes, everything = free_port(), free_port()
    processes = [
        subprocess.Popen(
            [WORK / "venv-fastmcp/bin/python", ROOT / "tests/e2e/fixtures/fastmcp_notes.py", str(notes)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ),
        subprocess.Popen(
            [WORK / "node_modules/.bin/mcp-server-everything", "streamableHttp"],
            env=environment(PORT=str(everything)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ),
    ]

    def listens(port):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/mcp", timeout=2)
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    for process in processes:
        atexit.register(process.kill)
    for port in (notes, everything):
        wait_until(lambda: listens(port), 60, f"a server on port {port}")
    return processes, f"http://127.0.0.1:{notes}/mcp", f"http://127.0.0.1:{everything}/mcp"
