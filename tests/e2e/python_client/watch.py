"""Watching through kills of the registry."""

import threading
import time

import paulina

from harness import wait_until
from python_client.common import KIND, Client, raises


def watch_changes(registry):
    """Receives every change through restarts, without gaps or duplicates."""
    client = Client(registry.url)
    watch = client.watch(tag="watched")
    snapshot = next(watch)
    assert isinstance(snapshot, paulina.Snapshot) and snapshot.servers == ()
    events = []

    def listen():
        events.extend(iter(lambda: next(watch, None), None) if KIND == "sync" else watch)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()

    def next_is(kind, id):
        wait_until(lambda: events, 10, f"{kind} {id}")
        change = events.pop(0)
        assert isinstance(change, paulina.Change), f"{change} instead of a change"
        assert (change.kind, change.server.id) == (kind, id), f"{change.kind} {change.server.id}, not {kind} {id}"
        return change.revision

    def register(id, **more):
        client.register("w", **{"id": id, "command": ["x"], "tags": ["watched"], "ttl": 60, **more})

    register("w-1")
    next_is("registered", "w-1")
    register("w-1", tools=["new"])
    next_is("updated", "w-1")
    register("unseen", tags=["another"])
    register("w-2", ttl=1)
    next_is("registered", "w-2")
    next_is("expired", "w-2")
    client.deregister("w-1")
    since = next_is("deregistered", "w-1")
    registry.kill()
    time.sleep(0.5)
    registry.start()
    register("w-3")
    next_is("registered", "w-3")
    registry.kill()
    registry.start()
    client.deregister("w-3")
    next_is("deregistered", "w-3")
    with client.watch(since=since, tag="watched") as later:
        assert [next(later).kind for _ in range(2)] == ["registered", "deregistered"], "it must continue after `since`"
    if KIND == "sync":
        started_at = time.monotonic()
        watch.close()
        listener.join(2)
        assert not listener.is_alive() and time.monotonic() - started_at < 1, (
            "a watch must end when another thread closes it"
        )
    raises(paulina.InvalidFilter, lambda: next(client.watch(q="word")), "cannot be watched")
    client.close()
    print(f"{KIND}: watched every change through two kills, without gaps or duplicates")
