"""Ids that another process holds, or seems to hold: a lost response, a successor, a restore; and a lack of threads."""

import socket
import subprocess
import time

import paulina

from harness import BINARY, wait_until
from python_client.common import FOLDER, KIND, TTL, Client, raises
from python_client.tcp_proxy import TcpProxy


def replaced_leases(registry):
    own_lease(registry)
    seconds = taken_over_until_released(registry)
    restored_backup(registry)
    no_threads(registry)
    print(
        f"{KIND}: replaced only by other processes, and only while they hold the id: registered again after "
        f"{seconds:.1f} s, "
        "and after a restore"
    )


def own_lease(registry):
    """Its own registration with a lost response does not count as another process. A refused one reveals a
    successor."""
    is_dropping = False
    proxy = TcpProxy(registry, lambda request: is_dropping and request.startswith(b"POST"))
    with Client(proxy.url) as client:
        heartbeat = client.keep_alive("own", command=["x"], tools=["one"], ttl=TTL)
        heartbeat.registered(5)
        is_dropping = True
        heartbeat.replace("own", command=["x"], tools=["two"], ttl=TTL)
        wait_until(
            lambda: registry.ids("tool=two") == [heartbeat.id], 2, "the request was executed, and its response is lost"
        )
        end = time.monotonic() + TTL
        while time.monotonic() < end:
            assert heartbeat.status.state != "replaced", "replaced by itself"
            time.sleep(0.02)
        assert heartbeat.status.state == "failing" and isinstance(heartbeat.status.error, paulina.Unreachable)
        is_dropping = False
        wait_until(lambda: heartbeat.status.state == "alive", TTL, "the request is repeated")
        assert [tool["name"] for tool in heartbeat.status.registered.server.tools] == ["two"]
    assert registry.ids("name=own") == []

    with Client(registry.url) as client:
        heartbeat = client.keep_alive("own", command=["x"], ttl=60)
        heartbeat.registered(5)
        client.register("own", id=heartbeat.id, command=["y"], ttl=60)
        heartbeat.replace("ä", command=["x"], ttl=60)
        wait_until(lambda: heartbeat.status.state == "replaced", 2, "refused, and another lease exists")


def taken_over_until_released(registry):
    """Replaced heartbeats pause as long as the successor lives. Then one of them registers the id again."""
    with Client(registry.url) as one, Client(registry.url) as two, Client(registry.url) as last:
        beats = [client.keep_alive("heir", id="heir", command=["x"], ttl=TTL) for client in (one, two)]
        wait_until(lambda: "replaced" in states(beats), TTL, "one of two is replaced")
        successor = last.keep_alive("heir", id="heir", command=["y"], ttl=TTL)
        successor.registered(5)
        wait_until(lambda: states(beats) == ["replaced"] * 2, TTL, "the other one is replaced, too")
        end = time.monotonic() + 3 * TTL
        while time.monotonic() < end:
            assert states(beats) == ["replaced"] * 2 and registry.curl("/v1/servers/heir")["command"] == ["y"]
            time.sleep(0.05)
        registry.kill()
        time.sleep(TTL + 1)
        assert states(beats) == ["replaced"] * 2, "downtime of the registry must not change the state"
        for heartbeat in beats:
            raises(paulina.LeaseReplaced, lambda heartbeat=heartbeat: heartbeat.registered(1))
        registry.start()
        wait_until(lambda: successor.status.state == "alive", TTL, "the successor is alive again")
        successor.stop()
        started_at = time.monotonic()
        wait_until(lambda: sorted(states(beats)) == ["alive", "replaced"], TTL + 1, "one of them registers again")
        seconds = time.monotonic() - started_at
        alive, replaced = sorted(beats, key=lambda heartbeat: heartbeat.status.state)
        assert registry.ids("name=heir") == ["heir"] and alive.registered(1).server.name == "heir"
        replaced.stop()
        assert registry.ids("name=heir") == ["heir"], "the registration of another process must stay"
        raises(paulina.LeaseReplaced, lambda: replaced.registered(1))
        alive.stop()
        assert registry.ids("name=heir") == []
        return seconds


def states(heartbeats):
    return [heartbeat.status.state for heartbeat in heartbeats]


def restored_backup(registry):
    """Restored from a backup of an earlier process with the same id: no process refreshes that lease."""
    copy = FOLDER / "before.db"
    with Client(registry.url) as client:
        client.register("stable", id="stable", command=["x"], ttl=TTL)
        subprocess.run([BINARY, "backup", "--database", registry.database, copy], check=True, capture_output=True)
        heartbeat = client.keep_alive("stable", id="stable", command=["x"], ttl=TTL)
        heartbeat.registered(5)
        registry.stop()
        for path in registry.database.parent.glob(f"{registry.database.name}*"):
            path.unlink()
        copy.rename(registry.database)
        registry.start()
        wait_until(lambda: heartbeat.status.state == "replaced", 2 * TTL, "another lease holds the id")
        # Leases do not run for 5 s after a start.
        wait_until(
            lambda: heartbeat.status.state == "alive", 5 + 2 * TTL + 1, "no process refreshes it: registered again"
        )
        end = time.monotonic() + 2 * TTL
        while time.monotonic() < end:
            assert registry.ids("name=stable") == ["stable"] and heartbeat.status.state == "alive"
            time.sleep(0.05)
    assert registry.ids("name=stable") == []


def no_threads(registry):
    """A machine without a free thread for a name lookup: a temporary failure."""
    lookup = socket.getaddrinfo

    def no_thread(*_, **__):
        raise RuntimeError("can't start new thread")

    with Client(registry.url.replace("127.0.0.1", "localhost")) as client:
        socket.getaddrinfo = no_thread
        heartbeat = client.keep_alive("need", command=["x"], ttl=TTL)
        wait_until(lambda: heartbeat.status.state == "failing", TTL, "the heartbeat fails")
        socket.getaddrinfo = lookup
        assert "can't start new thread" in str(heartbeat.status.error), heartbeat.status.error
        wait_until(lambda: heartbeat.status.state == "alive", TTL, "the heartbeat recovers")
