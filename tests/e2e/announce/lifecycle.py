"""Ten servers are announced at once. They are found with all their capabilities, disappear when they end, and return
when the registry returns."""

import os
import signal
import time

from announce.processes import (
    EVERYTHING,
    FILES,
    FILESYSTEM,
    MEMORY,
    NPM,
    OLDER,
    TTL,
    Announcement,
    Process,
    find_ids,
    is_alive,
    listens,
    notes_server,
    paulina,
    registered,
    seconds_until,
)
from harness import WORK, free_port, wait_until


def start_ten_servers():
    """Starts ten servers. Those behind HTTP start at the same time as their announcements."""
    ports = {name: free_port() for name in ("notes", "older-sse", "everything-http")}
    repository = FILES / "repository"
    behind_http = {
        "notes": notes_server(ports["notes"]),
        "older-sse": Process("older-sse-server", [*OLDER, "sse", ports["older-sse"]]),
        "everything-http": Process(
            "everything-http-server", [*EVERYTHING, "streamableHttp"], PORT=str(ports["everything-http"])
        ),
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
    announced = {name: Announcement(name, target) for name, target in targets.items()}
    return announced, behind_http, ports


def announced_at_once(announced):
    seconds = seconds_until(lambda: registered().keys() == announced.keys(), 60, "ten servers are registered")
    print(paulina("ls"))
    print(f"ten servers announced at once: all registered after {seconds:.1f} s")
    for name, server in registered().items():
        kind = {"notes": "streamable-http", "older-sse": "sse", "everything-http": "streamable-http"}.get(name, "stdio")
        assert server["transport"] == kind, f"{name} is registered as {server['transport']}"
        assert server["capabilities"]["tools"] and server["version"], f"{name} has no tools or no version"
        assert server["health"] == "healthy" and server["ttl"] == TTL and server["tags"] == ["e2e"], name
    for flag, what, where in [
        ("--tool", "read_file", "filesystem"),
        ("--resource", "notes://today", "notes"),
        ("--prompt", "summarize_notes", "notes"),
    ]:
        assert find_ids(flag, what) == [where], f"{flag} {what} finds {find_ids(flag, what)}"
        print(f"find {flag} {what}: {where}")
    for announcement in announced.values():
        wait_until(
            lambda: list(announcement.children()) == announcement.servers(),
            5,
            f"{announcement.name}: the inspected process has ended",
        )


def kill_servers(announced, behind_http, ports):
    """Kills servers, with and without their announcement, and stops one that then hangs."""
    announced.pop("memory").kill()
    seconds = seconds_until(
        lambda: "memory" not in registered(), TTL + 2, "a server that was killed with its announcement has expired"
    )
    print(f"server and announcement killed: expired after {seconds:.1f} s")

    thinking = announced.pop("sequential-thinking")
    (server,) = thinking.servers()
    os.kill(server, signal.SIGKILL)
    seconds = seconds_until(lambda: thinking.name not in registered(), 1, "a server that was killed is deregistered")
    code = thinking.exit_code("the announcement of a server that was killed")
    assert code == -signal.SIGKILL, f"the server was killed, and its announcement exited with {code}"
    print(f"server killed: deregistered after {seconds:.2f} s, its announcement exited with {code}")

    behind_http["notes"].kill()
    seconds = seconds_until(
        lambda: "notes" not in registered(), TTL + 2, "a server behind HTTP that was killed has expired"
    )
    behind_http["notes"] = notes_server(ports["notes"])
    wait_until(lambda: listens(ports["notes"]), 30, "a server behind HTTP listens again")
    back = seconds_until(lambda: "notes" in registered(), TTL + 2, "a server behind HTTP is registered again")
    print(f"server behind HTTP killed: expired after {seconds:.1f} s; started again: registered after {back:.1f} s")

    hanging = behind_http["older-sse"].process
    hanging.send_signal(signal.SIGSTOP)
    seconds = seconds_until(
        lambda: "older-sse" not in registered(), TTL + 2, "a server behind HTTP that hangs has expired"
    )
    hanging.send_signal(signal.SIGCONT)
    back = seconds_until(
        lambda: "older-sse" in registered(), 15, "a server behind HTTP that no longer hangs is registered again"
    )
    print(f"server behind HTTP hangs: expired after {seconds:.1f} s; continues: registered after {back:.1f} s")


def registry_unavailable(registry, announced):
    """The registry is killed, loses its data, and starts after an announcement."""
    registry.kill()
    time.sleep(3)
    registry.start()
    end = time.monotonic() + TTL + 2
    while time.monotonic() < end:
        assert registered().keys() == announced.keys(), f"after the registry was killed: {list(registered())}"
        time.sleep(0.05)
    print(f"registry down for 3 s: all {len(announced)} registered from its start, for {TTL + 2} s")

    registry.stop()
    for path in registry.database.parent.glob(f"{registry.database.name}*"):
        path.unlink()
    registry.start()
    seconds = seconds_until(
        lambda: registered().keys() == announced.keys(), 10, "all are registered again in an empty registry"
    )
    print(f"registry empty: all {len(announced)} registered again after {seconds:.1f} s")

    registry.stop()
    late = announced["late"] = Announcement("late", MEMORY)
    wait_until(
        lambda: "not registered for now" in late.log.read_text(),
        20,
        "the announcement reports that it is not registered",
    )
    registry.start()
    seconds = seconds_until(
        lambda: "late" in registered(), 10, "a server announced before the registry started is registered"
    )
    wait_until(lambda: registered().keys() == announced.keys(), 10, "all are registered again")
    print(f"announced while the registry is down: registered {seconds:.1f} s after its start")


def exit_and_deregister(announced, behind_http):
    """Announcements that exit cleanly deregister their servers."""
    for name in ("late", "git"):
        announcement = announced.pop(name)
        (server,) = announcement.servers()
        announcement.process.stdin.close()
        own = seconds_until(lambda: not is_alive(server), 5, f"{name} exits at the end of its input")
        seconds = seconds_until(lambda: name not in registered(), 1, f"{name} is deregistered after its exit")
        code = announcement.exit_code(f"the announcement of {name}")
        assert code == 0, f"after the end of input, the announcement of {name} exited with {code}"
        print(
            f"input of {name} closed: exited after {own:.2f} s, deregistered after another {seconds:.2f} s, exit "
            f"code {code}"
        )

    stopped = announced.pop("time")
    (server,) = stopped.servers()
    stopped.process.terminate()
    seconds = seconds_until(lambda: "time" not in registered(), 1, "a server is deregistered after SIGTERM")
    code = stopped.exit_code("an announcement that was sent SIGTERM")
    assert code == -signal.SIGTERM and not is_alive(server), (
        f"after SIGTERM, a server behind announce exits with {code}"
    )
    print(f"SIGTERM to the announcement of time: deregistered after {seconds:.2f} s, exit code {code}")

    stopped = announced.pop("older-sse")
    stopped.process.terminate()
    seconds = seconds_until(
        lambda: "older-sse" not in registered(), 1, "a server behind HTTP is deregistered after SIGTERM"
    )
    code = stopped.exit_code("an announcement of a URL that was sent SIGTERM")
    assert code == 0 and behind_http["older-sse"].process.poll() is None, (
        f"after SIGTERM, the announcement of a URL exits with {code}"
    )
    print(f"SIGTERM to the announcement of older-sse: deregistered after {seconds:.2f} s, exit code {code}")
