"""Connections that are slow, silent, ambiguous or broken off, by the thousand: everybody else is served as before,
memory is bounded, nothing that was smuggled into a body is run, and no file descriptor is left behind.

Raw sockets: no HTTP client sends any of this. Healthy clients have a process of their own, so that what they measure is
the registry and not the crowd beside them.
"""

import asyncio
import atexit
import contextlib
import itertools
import json
import multiprocessing
import os
import re
import resource
import shutil
import socket
import struct
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from statistics import median

import paulina
from ambiguous import KIND, HOST, ambiguous, post, registration, request

paulina.BINARY = os.environ.get("PAULINA_BINARY", paulina.BINARY)
FOLDER = paulina.WORK / "connections"
CLIENTS, WINDOW = 8, 1.5
PAGE = "/v1/servers?name=big&view=full"


def receive(connection):
    """What came; nothing when the registry has closed the connection, None when nothing came in time."""
    try:
        return connection.recv(1 << 16)
    except (BlockingIOError, TimeoutError):
        return None
    except ConnectionError:
        return b""


def drain(connection):
    """All that comes, and whether the registry has closed the connection."""
    received = b""
    while part := receive(connection):
        received += part
    return received, part is not None


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Registry(paulina.Registry):
    """One with small servers and a few of megabytes, in the folder of this test."""

    def __init__(self, name, *arguments):
        super().__init__(FOLDER / f"{name}.db", *arguments)
        self.start()
        atexit.register(self.process.kill)
        for number in range(20):
            self.curl("/v1/servers", body=registration(f"small-{number}", capabilities={"tools": ["small"]}))
        tools = [{"name": f"tool-{number}", "description": "x" * 300} for number in range(2000)]
        for number in range(10):
            self.curl("/v1/servers", body=registration(f"big-{number}", name="big", capabilities={"tools": tools}))

    def connect(self, timeout=5):
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def exchange(self, sent, *, half_close=False):
        """Sends that on a new connection; the statuses that come back, and whether it is closed within 2 s."""
        with self.connect(2) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(sent)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
            received, closed = drain(connection)
        return re.findall(rb"HTTP/1\.[01] ([2-5]\d\d)", received), closed


async def client(port, latencies, firsts):
    begin = time.perf_counter()
    end = begin + WINDOW
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for method, path in itertools.cycle([("PUT", "/small-1/refresh"), ("GET", "?tool=small"), ("GET", "/small-2")]):
        writer.write(request(method, f"/v1/servers{path}"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), f"a healthy client got {head}"
        await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))
        now = time.perf_counter()
        (latencies if begin > end - WINDOW else firsts).append((now - begin) * 1000)
        if now > end:
            return writer.close()
        begin = now


def healthy(port):
    """What well-behaved clients see on new keep-alive connections: p50, p99 and the slowest first answer, in ms."""
    latencies, firsts = [], []

    async def clients():
        async with asyncio.timeout(WINDOW + 20):
            await asyncio.gather(*(client(port, latencies, firsts) for _ in range(CLIENTS)))

    asyncio.run(clients())
    latencies.sort()
    return latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100], max(firsts)


class Crowd:
    """Connections that say what they are given to say, then nothing or a byte a second."""

    def __init__(self, registry, sayings, *, drip=False):
        self.all, self.answers, self.left = [], Counter(), threading.Event()
        for saying in sayings:
            self.all.append(registry.connect())
            self.all[-1].sendall(saying)
            self.all[-1].setblocking(False)
        self.open = set(self.all)
        if drip:
            threading.Thread(target=self.drip, daemon=True).start()

    def drip(self):
        for part in itertools.cycle(range(100)):
            if self.left.wait(0.01):
                return
            for connection in self.all[part::100]:
                with contextlib.suppress(OSError):  # Closed: `look` counts that.
                    connection.send(b"a")

    def look(self):
        """Counts what was said and closed since, and returns how many connections are open."""
        for connection in list(self.open):
            said = receive(connection)
            if said == b"":
                self.open.discard(connection)
                connection.close()
            if said is not None:
                self.answers[said[9:12].decode() or "closed"] += 1
        return len(self.open)

    def leave(self):
        self.left.set()
        for connection in self.open:
            reset(connection)


def beside(registry, pool, title, sayings, *, drip, rounds):
    """Healthy clients alone and beside a crowd in turns; then the registry has to close the crowd's connections."""
    before, descriptors, most, alone, crowded = registry.resident_mib(), registry.descriptors(), 0, [], []
    for turn in range(rounds):
        alone.append(pool.submit(healthy, registry.port).result())
        opened = time.monotonic()
        crowd = Crowd(registry, sayings, drip=drip)
        crowded.append(pool.submit(healthy, registry.port).result())
        most, held = max(most, registry.resident_mib()), crowd.look()
        # At its limit the registry closes one for each new client.
        assert held >= len(sayings) - 10 * CLIENTS, f"{title}: only {held} were held for the window: {crowd.answers}"
        if turn < rounds - 1:
            crowd.leave()
            paulina.wait_until(lambda: registry.descriptors() <= descriptors, 10, f"{title}: those that left are gone")
    paulina.wait_until(lambda: crowd.look() == 0, 30, f"{title}: closed by the time limits")
    took = time.monotonic() - opened
    crowd.leave()
    (p50, p99, _), (crowded50, crowded99, _) = (map(median, zip(*windows)) for windows in (alone, crowded))
    first, each = max(window[2] for window in crowded), (most - before) * 1024 / len(sayings)
    print(f"{title}: p50 {p50:.2f} ms became {crowded50:.2f}, p99 {p99:.2f} became {crowded99:.2f}, first answers "
          f"{first:.0f}; {before:.0f} MiB became {most:.0f} ({each:.1f} KiB each), then {registry.resident_mib():.0f}; "
          f"closed within {took:.1f} s: {dict(crowd.answers)}")
    assert set(crowd.answers) <= {"408", "closed"}, f"{title}: other answers than 408"
    assert crowded99 <= 3 * p99, f"{title}: the p99 of the healthy clients more than tripled"
    assert first < 500, f"{title}: a new client waited {first:.0f} ms for its first answer"
    assert each < 64, f"{title}: {each:.1f} KiB of memory for each connection"


def smuggling(registry):
    refused, once = ambiguous()
    texts = [text.replace("-000", f"-{number:03}") for number, text in enumerate(refused + once)]
    with registry.connect() as connection:
        for number in range(len(texts) + 1):
            connection.sendall(post(f"victim-{number:03}"))
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 201"), f"victim {number} was not registered"
    control, _ = registry.exchange(post("own") + request("DELETE", f"/v1/servers/victim-{len(texts):03}"))
    assert control == [b"201", b"204"], f"a DELETE after a request is not run, so this proves nothing: {control}"
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda text: registry.exchange(text.encode("latin-1")), texts))
    left, wrong = set(registry.ids("name=small&limit=1000")), []
    for number, (text, (answers, closed)) in enumerate(zip(texts, results)):
        lives, kept = f"victim-{number:03}" in left, f"own-{number:03}" in left
        fine = lives and len(answers) < 2 and all(answer < b"500" for answer in answers)
        if number < len(refused):
            fine = fine and not kept and (answers > [b"399"] or closed and not answers)
        if not fine:
            shown = text.replace(HOST, "", 1).replace(KIND, "")[:150]
            wrong.append(f"{shown!r}: {answers}{'' if lives else ', and the DELETE was run'}")
    counts = dict(Counter((answers or [b"none"])[0].decode() for answers, _ in results))
    print(f"smuggling: {len(refused)} requests to refuse, {len(once)} to answer at most once; first answers {counts}")
    assert not wrong, f"smuggling, {len(wrong)} wrong:\n" + "\n".join(wrong)


def half_closed(registry):
    """A client that has said all it will say still gets its answer; one that stops in the middle is let go."""
    for text in (post("half"), request("GET", "/v1/servers?limit=7"), request("PUT", "/v1/servers/half/refresh")):
        results = [registry.exchange(text, half_close=True) for _ in range(50)]
        wrong = [result for result in results if len(result[0]) != 1 or result[0] > [b"299"] or not result[1]]
        assert not wrong, f"{text[:40]}, half-closed: {len(wrong)} of 50 are not answered and then closed: {wrong[0]}"
    begin = time.monotonic()
    for text in (b"GET /healthz HT", request("GET", "/healthz")[:-2], post("half")[:-9]):
        assert registry.exchange(text, half_close=True)[1], f"{text}, half-closed: still open after 2 s"
    print(f"half-closed: 150 answered, 3 unfinished ones closed within {(time.monotonic() - begin) * 1000:.0f} ms")


def broken_off(registry):
    before, gzip = registry.descriptors(), request("GET", PAGE, "Accept-Encoding: gzip\r\n")
    for text in (post("broken")[:-30], post("broken"), request("GET", PAGE), gzip):
        for _ in range(100):
            connection = registry.connect()
            connection.sendall(text)
            if text.startswith(b"GET"):
                connection.recv(1 << 10)
            reset(connection)
    paulina.wait_until(lambda: registry.descriptors() <= before, 10, "broken off: as few descriptors as before")
    registry.curl("/readyz")
    print(f"broken off: 400 resets in bodies and answers; {before} descriptors became {registry.descriptors()}")


def limited():
    """At the limit the connection that has been idle longest makes room; one in use stays."""
    registry = Registry("limited", "--max-connections", "500")
    before, busy, crowds = registry.descriptors(), registry.connect(), []
    for number in range(20):
        crowds.append(Crowd(registry, [b""] * 100))
        time.sleep(0.3)
        with contextlib.suppress(ConnectionError):
            busy.sendall(request("GET", "/healthz"))
        said = receive(busy) or b"nothing"
        assert said.startswith(b"HTTP/1.1 200"), f"limited: the one in use got {said} after {number + 1}00 idle ones"
    *_, first = healthy(registry.port)
    held, descriptors = [crowd.look() for crowd in crowds], registry.descriptors() - before
    print(f"limited: {sum(held)} of 2000 idle ones held, {descriptors} descriptors; first answers {first:.0f} ms")
    assert descriptors <= 500 and sum(held[:14]) == 0 and sum(held) > 400, f"limited: not the newest are held: {held}"
    assert first < 500, f"limited: a new client waited {first:.0f} ms for its first answer"
    registry.stop()


def unread():
    """Clients that ask for megabytes and read nothing take what may be in hand at once, and not for long."""
    times = ("--write-timeout", "3s", "--idle-timeout", "3s")
    registry = Registry("unread", *times, "--max-in-flight", str(64 << 20), "--answer-cache", "0")
    size = len(json.dumps(registry.curl(PAGE), separators=(",", ":")))
    descriptors, before, most, begin = registry.descriptors(), registry.resident_mib(), 0, time.monotonic()
    crowd = Crowd(registry, [request("GET", PAGE)] * 100)
    while (left := registry.descriptors() - descriptors) > 0:
        most = max(most, registry.resident_mib())
        assert time.monotonic() < begin + 30, f"unread: {left} connections are open after 30 s"
        time.sleep(0.1)
    took = time.monotonic() - begin
    cut = [len(received) for received, _ in map(drain, crowd.all) if received.startswith(b"HTTP/1.1 200")]
    crowd.leave()
    print(f"unread: 100 pages of {size / (1 << 20):.1f} MiB; {before:.0f} MiB became {most:.0f}, then "
          f"{registry.resident_mib():.0f}; {len(cut)} begun and broken off; all closed within {took:.1f} s")
    # What is being put together comes on top of what is in hand.
    assert most - before < 256, f"unread: they took {most - before:.0f} MiB, and 64 may be in hand"
    assert len(cut) > 5 and max(cut) < size, f"unread: the answers were not to be broken off: {cut}, of {size}"
    registry.stop()


def main():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard > 12000, f"needs 12,000 file descriptors, and ulimit -Hn says {hard}"
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    # Fewer places than slow bodies: those must not take any.
    limits = ("--max-requests", "500", "--header-timeout", "22s", "--body-timeout", "22s", "--idle-timeout", "22s")
    registry = Registry("served", *limits)
    slow = [b"GET /healthz HTTP/1.1\r\nX: ", request("POST", "/v1/servers", f"{KIND}Content-Length: 1000000\r\n")]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        beside(registry, pool, "slow", slow * 1000, drip=True, rounds=5)
        beside(registry, pool, "idle", [b""] * 10000, drip=False, rounds=3)
    smuggling(registry)
    half_closed(registry)
    broken_off(registry)
    registry.stop()
    limited()
    unread()
    print("connections: passed")


if __name__ == "__main__":
    main()
