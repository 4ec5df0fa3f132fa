"""Real MCP servers: introspected, registered as they are, heartbeated, found, stopped; the registry killed under them.

Each server lives as a process with an MCP session open to it, and its lease is refreshed for as long as the session
answers. So a server that is stopped stops refreshing, as it would in an orchestrator.
"""

import asyncio
import atexit
import shutil
import subprocess
import sys
import time
import urllib.request

from mcp import Client, StdioServerParameters

from paulina import ROOT, WORK, Registry, environment, free_port, sqlite3, wait_until

TTL = 4
HEARTBEAT = 1
RETENTION = 3
FILES = WORK / "files"


async def pages(ask, member):
    """Every item of a paged MCP list, as the JSON that the server sent."""
    items, cursor = [], None
    while True:
        page = await ask(cursor=cursor)
        items += [item.model_dump(mode="json", by_alias=True, exclude_unset=True) for item in getattr(page, member)]
        cursor = page.next_cursor
        if cursor is None:
            return items


async def introspect(client):
    """What a server says that it has; nothing is asked of it that it does not say."""
    says = client.server_capabilities
    tools = await pages(client.list_tools, "tools") if says.tools else []
    resources, prompts = [], []
    if says.resources:
        resources = await pages(client.list_resources, "resources")
        resources += await pages(client.list_resource_templates, "resource_templates")
    if says.prompts:
        prompts = await pages(client.list_prompts, "prompts")
    flags = says.model_dump(mode="json", by_alias=True, exclude_none=True)
    flags = {name: options for name, options in flags.items() if name not in ("tools", "resources", "prompts")}
    return {"tools": tools, "resources": resources, "prompts": prompts, **flags}


class Server:
    """One MCP server: started, introspected, and alive while its session answers."""

    def __init__(self, name, target, transport, tags):
        self.name, self.target, self.transport, self.tags = name, target, transport, tags
        self.stopping, self.ready, self.alive = asyncio.Event(), asyncio.Event(), False
        self.registration = None

    async def live(self):
        target = self.target
        if isinstance(target, list):
            target = StdioServerParameters(command=target[0], args=target[1:], env=environment())
        async with Client(target) as client:
            info = client.server_info
            way = {"command": self.target} if self.transport == "stdio" else {"url": self.target}
            self.registration = {
                "id": f"{self.name}-e2e", "name": self.name, "version": info.version, "transport": self.transport, **way,
                "capabilities": await introspect(client), "tags": self.tags, "metadata": {"suite": "e2e"}, "ttl": TTL,
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


def returned(resource):
    """A resource as the registry returns it: a template under one name."""
    return {"uri_template" if key == "uriTemplate" else key: value for key, value in resource.items()}


def check_record(registry, server):
    sent, record = server.registration, registry.curl(f"/v1/servers/{server.registration['id']}")
    capabilities = {**sent["capabilities"], "resources": [returned(item) for item in sent["capabilities"]["resources"]]}
    assert record["capabilities"] == capabilities, f"{server.name} comes back otherwise than it was registered"
    assert record["tags"] == sorted(sent["tags"])
    for member in ("id", "name", "version", "transport", "metadata", "ttl"):
        assert record[member] == sent[member], (server.name, member)


async def heartbeats(registry, servers, counts):
    """One batch refresh a second for all that live; what the registry has lost is registered again."""
    while True:
        ids = [server.registration["id"] for server in servers if server.alive]
        answer = await asyncio.to_thread(registry.curl, "/v1/refresh", body={"ids": ids}, fail=False)
        counts["refreshed" if answer else "unanswered"] += len(ids)
        assert not answer or answer["not_registered"] == [], f"lost: {answer['not_registered']}"
        await asyncio.sleep(HEARTBEAT)


def start_http_servers():
    notes, everything = free_port(), free_port()
    processes = [
        subprocess.Popen([WORK / "venv-fastmcp/bin/python", ROOT / "tests/e2e/fastmcp_server.py", str(notes)],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL),
        subprocess.Popen([WORK / "node_modules/.bin/mcp-server-everything", "streamableHttp"],
                         env=environment(PORT=str(everything)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL),
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


def fresh_folder():
    shutil.rmtree(WORK / "run", ignore_errors=True)
    shutil.rmtree(FILES, ignore_errors=True)
    (WORK / "run").mkdir(parents=True)
    FILES.mkdir()
    subprocess.run(["git", "init", "--quiet", FILES / "repository"], check=True)


async def main():
    fresh_folder()
    registry = Registry(WORK / "run" / "paulina.db", "--retention", f"{RETENTION}s")
    first_start = registry.start()
    atexit.register(registry.kill)
    processes, notes_url, everything_url = start_http_servers()
    npm, python = WORK / "node_modules/.bin", str(WORK)
    servers = [
        Server("everything", [str(npm / "mcp-server-everything")], "stdio", ["npm", "reference"]),
        Server("filesystem", [str(npm / "mcp-server-filesystem"), str(FILES)], "stdio", ["npm", "local"]),
        Server("memory", [str(npm / "mcp-server-memory")], "stdio", ["npm"]),
        Server("sequential-thinking", [str(npm / "mcp-server-sequential-thinking")], "stdio", ["npm"]),
        Server("git", [f"{python}/venv-git/bin/mcp-server-git", "--repository", str(FILES / "repository")], "stdio",
               ["pypi", "local"]),
        Server("time", [f"{python}/venv-time/bin/mcp-server-time"], "stdio", ["pypi"]),
        Server("notes", notes_url, "streamable-http", ["pypi", "fastmcp"]),
        Server("everything-http", everything_url, "streamable-http", ["npm", "reference"]),
    ]
    sessions = [asyncio.create_task(server.live()) for server in servers]
    await asyncio.wait_for(asyncio.gather(*(server.ready.wait() for server in servers)), 90)
    for server in servers:
        registry.curl("/v1/servers", body=server.registration)
        check_record(registry, server)
    counts = {"refreshed": 0, "unanswered": 0}
    beating = asyncio.create_task(heartbeats(registry, servers, counts))

    def all_healthy():
        return sorted(registry.ids("metadata=suite:e2e")) == sorted(s.registration["id"] for s in servers if s.alive)

    async def watch(seconds, what):
        """Nobody who lives is missing, for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert await asyncio.to_thread(all_healthy), f"{what}: a live server is missing"
            assert not beating.done(), beating.exception()
            await asyncio.sleep(0.1)

    await watch(TTL * 2, "heartbeats")

    print("which server has read_file?          ", registry.ids("tool=read_file"))
    assert registry.ids("tool=read_file") == ["filesystem-e2e"]
    print("which can serve notes://today?       ", registry.ids("resource=notes://today"))
    assert registry.ids("resource=notes://today") == ["notes-e2e"]
    print("which can serve file:///tmp/x?       ", registry.ids("resource=file:///tmp/x"))
    assert registry.ids("resource=file:///tmp/x") == []
    glob = {"id": "glob-e2e", "name": "glob", "transport": "stdio", "command": ["true"],
            "capabilities": {"resources": ["file://*"]}}
    registry.curl("/v1/servers", body=glob)
    print("and with a server of file://* ?      ", registry.ids("resource=file:///tmp/x"))
    assert registry.ids("resource=file:///tmp/x") == ["glob-e2e"]
    registry.curl("/v1/servers/glob-e2e", method="DELETE")
    print("which have the tag local?            ", registry.ids("tag=local"))
    assert registry.ids("tag=local") == ["filesystem-e2e", "git-e2e"]
    print("which have prompts?                  ", registry.ids("capability=prompts"))
    assert "notes-e2e" in registry.ids("capability=prompts")
    print("which know something of git commits? ", registry.ids("q=git%20commit"))
    assert "git-e2e" in registry.ids("q=git%20commit")
    tools = registry.curl("/v1/tools?q=current+time&limit=1")["tools"]
    print("which tool tells the current time?   ", [tool["name"] for tool in tools])
    assert tools[0]["name"] == "get_current_time"

    # One is stopped: unhealthy after its TTL, then gone.
    stopped = servers[2]
    stopped.stopping.set()
    await sessions[2]
    stopped_at = time.monotonic()
    gone = stopped.registration["id"]
    while gone not in registry.ids("healthy=false"):
        assert time.monotonic() < stopped_at + TTL + 2, "not unhealthy after its TTL and 2 s"
        await asyncio.sleep(0.05)
    unhealthy_after = time.monotonic() - stopped_at
    assert gone not in registry.ids("healthy=true")
    while registry.curl(f"/v1/servers/{gone}", fail=False) is not None:
        assert time.monotonic() < stopped_at + TTL + RETENTION + 4, "not gone"
        await asyncio.sleep(0.05)
    gone_after = time.monotonic() - stopped_at
    print(f"{gone} was stopped: unhealthy after {unhealthy_after:.1f} s, gone after {gone_after:.1f} s")

    # The registry is killed, is away for three leases, and comes back.
    revision = registry.curl("/v1/stats")["revision"]
    registry.kill()
    await asyncio.sleep(TTL * 3)
    restart = registry.start()
    assert registry.curl("/v1/stats")["revision"] == revision, "nothing expired, nothing changed"
    await watch(TTL * 3, "after kill -9 and a restart")
    assert registry.curl("/v1/stats")["revision"] == revision, "nothing expired after the standstill either"
    for server in (server for server in servers if server.alive):
        check_record(registry, server)

    print(f"\nafter kill -9 and {TTL * 3} s away: all {len(registry.ids('healthy=any'))} there, none expired, "
          f"revision still {revision}")
    sent = sum(len(str(server.registration)) for server in servers)
    stats = registry.curl("/v1/stats")
    print(f"servers {len(servers)}, tools {stats['tools']}, resources {stats['resources']}, prompts {stats['prompts']}, "
          f"registrations of {sent // 1024} KiB in all; refreshed {counts['refreshed']}, unanswered {counts['unanswered']}")
    print(f"start-up to ready {first_start * 1000:.0f} ms (new file), {restart * 1000:.0f} ms (after kill -9); "
          f"resident {registry.resident_mib():.1f} MiB\n")
    print(sqlite3(registry.database, "SELECT id, transport, health, expires_at, tools, tags FROM registry"))
    for table in ["servers", "leases", "tools", "resources", "changes"]:
        verdict = sqlite3(registry.database, f"PRAGMA integrity_check({table})").split()
        assert verdict[-1] == "ok", f"{table}: {verdict}"

    beating.cancel()
    for server in servers:
        server.stopping.set()
    await asyncio.gather(*sessions, return_exceptions=True)
    registry.stop()
    for process in processes:
        process.terminate()
        process.wait()
    print("servers: passed")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
