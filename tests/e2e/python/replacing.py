"""Registrations whose id somebody else holds, or seems to hold: a lost answer, a successor, a restore, a machine in need."""

import socket
import subprocess
import time

import paulina
from between import Between
from common import FOLDER, KIND, TTL, Client, raises
from helper import BINARY, wait_until


def replaces(registry):
    own_lease(registry)
    seconds = until_nobody_holds_it(registry)
    restored(registry)
    in_need(registry)
    print(f"{KIND}: replaced by others alone, and only while they hold the id: taken up again after {seconds:.1f} s, and "
          "after a restore")


def own_lease(registry):
    """Its own registration, of which it was not told, is no other process's; one that is refused finds out who is."""
    losing = False
    between = Between(registry, lambda request: losing and request.startswith(b"POST"))
    with Client(between.url) as client:
        heartbeat = client.keep_alive("own", command=["x"], tools=["one"], ttl=TTL)
        heartbeat.registered(5)
        losing = True
        heartbeat.replace("own", command=["x"], tools=["two"], ttl=TTL)
        wait_until(lambda: registry.ids("tool=two") == [heartbeat.id], 2, "it was done, and its answer is lost")
        end = time.monotonic() + TTL
        while time.monotonic() < end:
            assert heartbeat.beat.state != "replaced", "replaced by itself"
            time.sleep(0.02)
        assert heartbeat.beat.state == "failing" and isinstance(heartbeat.beat.error, paulina.Unreachable)
        losing = False
        wait_until(lambda: heartbeat.beat.state == "alive", TTL, "it is asked again")
        assert [tool["name"] for tool in heartbeat.beat.registered.server.tools] == ["two"]
    assert registry.ids("name=own") == []

    with Client(registry.url) as client:
        heartbeat = client.keep_alive("own", command=["x"], ttl=60)
        heartbeat.registered(5)
        client.register("own", id=heartbeat.id, command=["y"], ttl=60)
        heartbeat.replace("ä", command=["x"], ttl=60)
        wait_until(lambda: heartbeat.beat.state == "replaced", 2, "refused, and another lease is there")


def until_nobody_holds_it(registry):
    """As long as its successor lives, it keeps off; then one of all that were replaced takes the id up again."""
    with Client(registry.url) as one, Client(registry.url) as two, Client(registry.url) as last:
        beats = [client.keep_alive("heir", id="heir", command=["x"], ttl=TTL) for client in (one, two)]
        wait_until(lambda: "replaced" in states(beats), TTL, "one of two lets go")
        successor = last.keep_alive("heir", id="heir", command=["y"], ttl=TTL)
        successor.registered(5)
        wait_until(lambda: states(beats) == ["replaced"] * 2, TTL, "and so does the other")
        end = time.monotonic() + 3 * TTL
        while time.monotonic() < end:
            assert states(beats) == ["replaced"] * 2 and registry.curl("/v1/servers/heir")["command"] == ["y"]
            time.sleep(0.05)
        registry.kill()
        time.sleep(TTL + 1)
        assert states(beats) == ["replaced"] * 2, "that the registry is down says nothing"
        for heartbeat in beats:
            raises(paulina.LeaseReplaced, lambda heartbeat=heartbeat: heartbeat.registered(1))
        registry.start()
        wait_until(lambda: successor.beat.state == "alive", TTL, "the successor is there again")
        successor.stop()
        begun = time.monotonic()
        wait_until(lambda: sorted(states(beats)) == ["alive", "replaced"], TTL + 1, "one of them takes it up again")
        seconds = time.monotonic() - begun
        alive, replaced = sorted(beats, key=lambda heartbeat: heartbeat.beat.state)
        assert registry.ids("name=heir") == ["heir"] and alive.registered(1).server.name == "heir"
        replaced.stop()
        assert registry.ids("name=heir") == ["heir"], "what is somebody else's stays"
        raises(paulina.LeaseReplaced, lambda: replaced.registered(1))
        alive.stop()
        assert registry.ids("name=heir") == []
        return seconds


def states(heartbeats):
    return [heartbeat.beat.state for heartbeat in heartbeats]


def restored(registry):
    """Restored from before it began: its id is an earlier process's, which nobody refreshes."""
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
        wait_until(lambda: heartbeat.beat.state == "replaced", 2 * TTL, "the lease is another one")
        # Leases stand still for 5 s after a start.
        wait_until(lambda: heartbeat.beat.state == "alive", 5 + 2 * TTL + 1, "nobody refreshes it: registered again")
        end = time.monotonic() + 2 * TTL
        while time.monotonic() < end:
            assert registry.ids("name=stable") == ["stable"] and heartbeat.beat.state == "alive"
            time.sleep(0.05)
    assert registry.ids("name=stable") == []


def in_need(registry):
    """A machine that has no thread left for looking a name up: that passes."""
    lookup = socket.getaddrinfo

    def no_thread(*_, **__):
        raise RuntimeError("can't start new thread")

    with Client(registry.url.replace("127.0.0.1", "localhost")) as client:
        socket.getaddrinfo = no_thread
        heartbeat = client.keep_alive("need", command=["x"], ttl=TTL)
        wait_until(lambda: heartbeat.beat.state == "failing", TTL, "it is told")
        socket.getaddrinfo = lookup
        assert "can't start new thread" in str(heartbeat.beat.error), heartbeat.beat.error
        wait_until(lambda: heartbeat.beat.state == "alive", TTL, "it has gone on")
