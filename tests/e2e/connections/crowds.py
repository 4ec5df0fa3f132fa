"""Thousands of slow, idle or unread connections: other clients are served as before, and memory is bounded."""

import contextlib
import itertools
import json
import threading
import time
from collections import Counter
from statistics import median

from connections.ambiguous_requests import request
from connections.registry import CLIENTS, PAGE, Registry, drain, healthy, receive, reset
from harness import wait_until


class Crowd:
    """Connections that send the given bytes, then nothing or one byte a second."""

    def __init__(self, registry, messages, *, drip=False):
        self.all, self.answers, self.closed = [], Counter(), threading.Event()
        for message in messages:
            self.all.append(registry.connect())
            self.all[-1].sendall(message)
            self.all[-1].setblocking(False)
        self.open = set(self.all)
        if drip:
            threading.Thread(target=self.drip, daemon=True).start()

    def drip(self):
        for part in itertools.cycle(range(100)):
            if self.closed.wait(0.01):
                return
            for connection in self.all[part::100]:
                with contextlib.suppress(OSError):  # Closed: `count_open` counts that.
                    connection.send(b"a")

    def count_open(self):
        """Counts new responses and closed connections. Returns how many connections are open."""
        for connection in list(self.open):
            received = receive(connection)
            if received == b"":
                self.open.discard(connection)
                connection.close()
            if received is not None:
                self.answers[received[9:12].decode() or "closed"] += 1
        return len(self.open)

    def close(self):
        self.closed.set()
        for connection in self.open:
            reset(connection)


def with_crowd(registry, pool, title, messages, *, drip, rounds):
    """Measures healthy clients with and without the crowd in turns. Then the registry must close the connections of the
    crowd."""
    before, descriptors, most, without, crowded = registry.resident_mib(), registry.descriptors(), 0, [], []
    for turn in range(rounds):
        without.append(pool.submit(healthy, registry.port).result())
        opened = time.monotonic()
        crowd = Crowd(registry, messages, drip=drip)
        crowded.append(pool.submit(healthy, registry.port).result())
        most, held = max(most, registry.resident_mib()), crowd.count_open()
        # At its limit, the registry closes one connection for each new client.
        assert held >= len(messages) - 10 * CLIENTS, (
            f"{title}: only {held} stayed open during the measurement: {crowd.answers}"
        )
        if turn < rounds - 1:
            crowd.close()
            wait_until(lambda: registry.descriptors() <= descriptors, 10, f"{title}: the closed connections are gone")
    wait_until(lambda: crowd.count_open() == 0, 30, f"{title}: closed by the timeouts")
    took = time.monotonic() - opened
    crowd.close()
    (p50, p99, _), (crowded50, crowded99, _) = (map(median, zip(*windows)) for windows in (without, crowded))
    first, each = max(window[2] for window in crowded), (most - before) * 1024 / len(messages)
    print(
        f"{title}: p50 {p50:.2f} ms became {crowded50:.2f}, p99 {p99:.2f} became {crowded99:.2f}, first responses "
        f"{first:.0f}; {before:.0f} MiB became {most:.0f} ({each:.1f} KiB each), then {registry.resident_mib():.0f}; "
        f"closed within {took:.1f} s: {dict(crowd.answers)}"
    )
    assert set(crowd.answers) <= {"408", "closed"}, f"{title}: responses other than 408"
    assert crowded99 <= 3 * p99, f"{title}: the p99 of the healthy clients more than tripled"
    assert first < 500, f"{title}: a new client waited {first:.0f} ms for its first response"
    assert each < 64, f"{title}: {each:.1f} KiB of memory for each connection"


def limited():
    """At the limit, the registry closes the connection that has been idle longest, and keeps one in use."""
    registry = Registry("limited", "--max-connections", "500")
    before, busy, crowds = registry.descriptors(), registry.connect(), []
    for number in range(20):
        crowds.append(Crowd(registry, [b""] * 100))
        time.sleep(0.3)
        with contextlib.suppress(ConnectionError):
            busy.sendall(request("GET", "/healthz"))
        received = receive(busy) or b"nothing"
        assert received.startswith(b"HTTP/1.1 200"), (
            f"limited: the connection in use got {received} after {number + 1}00 idle ones"
        )
    *_, first = healthy(registry.port)
    held, descriptors = [crowd.count_open() for crowd in crowds], registry.descriptors() - before
    print(
        f"limited: {sum(held)} of 2000 idle connections open, {descriptors} descriptors; first response {first:.0f} ms"
    )
    assert descriptors <= 500 and sum(held[:14]) == 0 and sum(held) > 400, (
        f"limited: the newest connections must stay open: {held}"
    )
    assert first < 500, f"limited: a new client waited {first:.0f} ms for its first response"
    registry.stop()


def unread():
    """Clients that request megabytes and read nothing use at most the memory of --max-in-flight-bytes, and not for
    long."""
    times = ("--write-timeout", "3s", "--idle-timeout", "3s")
    registry = Registry("unread", *times, "--max-in-flight-bytes", str(64 << 20), "--cache-bytes", "0")
    size = len(json.dumps(registry.curl(PAGE), separators=(",", ":")))
    descriptors, before, most, begin = registry.descriptors(), registry.resident_mib(), 0, time.monotonic()
    crowd = Crowd(registry, [request("GET", PAGE)] * 100)
    while (left := registry.descriptors() - descriptors) > 0:
        most = max(most, registry.resident_mib())
        assert time.monotonic() < begin + 30, f"unread: {left} connections are open after 30 s"
        time.sleep(0.1)
    took = time.monotonic() - begin
    cut = [len(received) for received, _ in map(drain, crowd.all) if received.startswith(b"HTTP/1.1 200")]
    crowd.close()
    print(
        f"unread: 100 pages of {size / (1 << 20):.1f} MiB; {before:.0f} MiB became {most:.0f}, then "
        f"{registry.resident_mib():.0f}; {len(cut)} started and aborted; all closed within {took:.1f} s"
    )
    # Responses under construction come in addition to those in flight.
    assert most - before < 256, f"unread: they took {most - before:.0f} MiB, and 64 may be in flight"
    assert len(cut) > 5 and max(cut) < size, f"unread: the responses should have been aborted: {cut}, of {size}"
    registry.stop()
