"""Watching, over registries that are killed."""

import threading
import time

import paulina
from common import KIND, Client, raises
from helper import wait_until


def watches(registry):
    """Every change, over restarts, with no gap and no repeat."""
    client = Client(registry.url)
    watch = client.watch(tag="watched")
    snapshot = next(watch)
    assert isinstance(snapshot, paulina.Snapshot) and snapshot.servers == ()
    told = []

    def listen():
        told.extend(iter(lambda: next(watch, None), None) if KIND == "sync" else watch)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()

    def next_is(kind, id):
        wait_until(lambda: told, 10, f"{kind} {id}")
        change = told.pop(0)
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
        assert [next(later).kind for _ in range(2)] == ["registered", "deregistered"], "goes on after what was seen"
    if KIND == "sync":
        begun = time.monotonic()
        watch.close()
        listener.join(2)
        assert not listener.is_alive() and time.monotonic() - begun < 1, "closed by another thread, it ends"
    raises(paulina.InvalidFilter, lambda: next(client.watch(q="word")), "cannot be watched")
    client.close()
    print(f"{KIND}: watched every change over two kills, with no gap and no repeat")
