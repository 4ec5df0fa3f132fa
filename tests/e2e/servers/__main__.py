"""Real MCP servers: introspected, registered as they are, refreshed, found, stopped; and the registry is killed.

Each server is a process with an open MCP session. Its lease is refreshed as long as the session responds. A stopped
server therefore stops refreshing, as it would under an orchestrator.
"""

import asyncio
import atexit
import shutil
import subprocess
import sys
import time

from harness import WORK, Registry, sqlite3
from servers.mcp_server import TTL, Server, check_record, heartbeats, start_http_servers

RETENTION = 3
FILES = WORK / "files"


def fresh_folder():
    shutil.rmtree(WORK / "run", ignore_errors=True)
    shutil.rmtree(FILES, ignore_errors=True)
    (WORK / "run").mkdir(parents=True)
    FILES.mkdir()
    subprocess.run(["git", "init", "--quiet", FILES / "repository"], check=True)


def all_servers(notes_url, everything_url):
    npm, python = WORK / "node_modules/.bin", str(WORK)
    return [
        Server("everything", [str(npm / "mcp-server-everything")], "stdio", ["npm", "reference"]),
        Server("filesystem", [str(npm / "mcp-server-filesystem"), str(FILES)], "stdio", ["npm", "local"]),
        Server("memory", [str(npm / "mcp-server-memory")], "stdio", ["npm"]),
        Server("sequential-thinking", [str(npm / "mcp-server-sequential-thinking")], "stdio", ["npm"]),
        Server(
            "git",
            [f"{python}/venv-git/bin/mcp-server-git", "--repository", str(FILES / "repository")],
            "stdio",
            ["pypi", "local"],
        ),
        Server("time", [f"{python}/venv-time/bin/mcp-server-time"], "stdio", ["pypi"]),
        Server("notes", notes_url, "streamable-http", ["pypi", "fastmcp"]),
        Server("everything-http", everything_url, "streamable-http", ["npm", "reference"]),
    ]


async def check_all_listed(registry, servers, beating, seconds, what):
    """Checks for some seconds that no live server is missing."""

    def all_healthy():
        return sorted(registry.ids("metadata=suite:e2e")) == sorted(s.registration["id"] for s in servers if s.alive)

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert await asyncio.to_thread(all_healthy), f"{what}: a live server is missing"
        assert not beating.done(), beating.exception()
        await asyncio.sleep(0.1)


def queries(registry):
    print("servers with the tool read_file:      ", registry.ids("tool=read_file"))
    assert registry.ids("tool=read_file") == ["filesystem-e2e"]
    print("servers for notes://today:            ", registry.ids("resource=notes://today"))
    assert registry.ids("resource=notes://today") == ["notes-e2e"]
    print("servers for file:///tmp/x:            ", registry.ids("resource=file:///tmp/x"))
    assert registry.ids("resource=file:///tmp/x") == []
    glob = {
        "id": "glob-e2e",
        "name": "glob",
        "transport": "stdio",
        "command": ["true"],
        "capabilities": {"resources": ["file://*"]},
    }
    registry.curl("/v1/servers", body=glob)
    print("the same, with a server of file://*:  ", registry.ids("resource=file:///tmp/x"))
    assert registry.ids("resource=file:///tmp/x") == ["glob-e2e"]
    registry.curl("/v1/servers/glob-e2e", method="DELETE")
    print("servers with the tag local:           ", registry.ids("tag=local"))
    assert registry.ids("tag=local") == ["filesystem-e2e", "git-e2e"]
    print("servers with prompts:                 ", registry.ids("capability=prompts"))
    assert "notes-e2e" in registry.ids("capability=prompts")
    print("servers for the query git commit:     ", registry.ids("q=git%20commit"))
    assert "git-e2e" in registry.ids("q=git%20commit")
    tools = registry.curl("/v1/tools?q=current+time&limit=1")["tools"]
    print("tools for the query current time:     ", [tool["name"] for tool in tools])
    assert tools[0]["name"] == "get_current_time"


async def stopped_server(registry, server, session):
    """A stopped server is unhealthy after its TTL, and deleted after the retention."""
    server.stopping.set()
    await session
    stopped_at = time.monotonic()
    id = server.registration["id"]
    while id not in registry.ids("healthy=false"):
        assert time.monotonic() < stopped_at + TTL + 2, "not unhealthy after its TTL and 2 s"
        await asyncio.sleep(0.05)
    unhealthy_after = time.monotonic() - stopped_at
    assert id not in registry.ids("healthy=true")
    while registry.curl(f"/v1/servers/{id}", fail=False) is not None:
        assert time.monotonic() < stopped_at + TTL + RETENTION + 4, "not deleted"
        await asyncio.sleep(0.05)
    deleted_after = time.monotonic() - stopped_at
    print(f"{id} was stopped: unhealthy after {unhealthy_after:.1f} s, deleted after {deleted_after:.1f} s")


async def killed_registry(registry, servers, beating):
    """The registry is killed, is down for three leases, and starts again. Returns the seconds of its start, and the
    revision."""
    revision = registry.curl("/v1/stats")["revision"]
    registry.kill()
    await asyncio.sleep(TTL * 3)
    restart = registry.start()
    assert registry.curl("/v1/stats")["revision"] == revision, "a server has expired or changed"
    await check_all_listed(registry, servers, beating, TTL * 3, "after kill -9 and a restart")
    assert registry.curl("/v1/stats")["revision"] == revision, "a server has expired after the standstill"
    for server in (server for server in servers if server.alive):
        check_record(registry, server)
    return restart, revision


async def main():
    fresh_folder()
    registry = Registry(WORK / "run" / "paulina.db", "--retention", f"{RETENTION}s")
    first_start = registry.start()
    atexit.register(registry.kill)
    processes, notes_url, everything_url = start_http_servers()
    servers = all_servers(notes_url, everything_url)
    sessions = [asyncio.create_task(server.run()) for server in servers]
    await asyncio.wait_for(asyncio.gather(*(server.ready.wait() for server in servers)), 90)
    for server in servers:
        registry.curl("/v1/servers", body=server.registration)
        check_record(registry, server)
    counts = {"refreshed": 0, "unanswered": 0}
    beating = asyncio.create_task(heartbeats(registry, servers, counts))

    await check_all_listed(registry, servers, beating, TTL * 2, "heartbeats")
    queries(registry)
    await stopped_server(registry, servers[2], sessions[2])
    restart, revision = await killed_registry(registry, servers, beating)

    print(
        f"\nafter kill -9 and {TTL * 3} s down: all {len(registry.ids('healthy=any'))} registered, none expired, "
        f"revision still {revision}"
    )
    sent = sum(len(str(server.registration)) for server in servers)
    stats = registry.curl("/v1/stats")
    print(
        f"servers {len(servers)}, tools {stats['tools']}, resources {stats['resources']}, prompts {stats['prompts']}, "
        f"registrations of {sent // 1024} KiB in total; refreshed {counts['refreshed']}, unanswered "
        f"{counts['unanswered']}"
    )
    print(
        f"start-up to ready {first_start * 1000:.0f} ms (new file), {restart * 1000:.0f} ms (after kill -9); "
        f"resident {registry.resident_mib():.1f} MiB\n"
    )
    print(sqlite3(registry.database, "SELECT id, transport, health, expires_at, tools, tags FROM registry"))
    for table in ["servers", "leases", "tools", "resources", "changes"]:
        result = sqlite3(registry.database, f"PRAGMA integrity_check({table})").split()
        assert result[-1] == "ok", f"{table}: {result}"

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
