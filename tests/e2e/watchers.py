"""GET /v1/watch: what watchers are told through kills, restarts and restores, how fast a thousand are told, and what
they and those who read too slowly cost everybody else.

    watchers.py [all|load|histories [SEED]]

Figures that are compared are measured in turns, with and without what they are to be compared with.
"""

import asyncio
import contextlib
import http.client
import itertools
import json
import multiprocessing
import random
import re
import resource
import select
import signal
import socket
import sqlite3
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median

from watching import BROKEN, Stream, histories, number

sys.path.append(str(Path(__file__).resolve().parent / "faults"))
from client import Client  # noqa: E402
from process import BINARY, Process, fresh_folder, reading, same_sqlite  # noqa: E402

WATCHERS = 1000
REACHED = 100  # milliseconds until the last of them knows
DEARER = 1.1  # how much dearer a write may be with idle watchers
SLOW, LARGE, HUGE = 50, 300_000, 2_000_000  # readers, bytes of a server, and of one for a single reader
CHANGES, PACE = 40, 0.1  # in a window, seconds between them
SOON = 3  # milliseconds that nobody takes for slow
ROOM = 256  # MiB that those who read slowly may take
NOBODY = [("tag", "nobody-has-this")]


def served(name, *arguments):
    process = Process(fresh_folder(f"watchers-{name}") / "now" / "paulina.db", *arguments)
    process.database.parent.mkdir()
    process.start()
    return process


def server(id, title=None, tools=10, description="short"):
    tools = [{"name": f"{id}-tool-{place}", "description": description} for place in range(tools)]
    return {"id": id, "name": "small", "title": title, "transport": "stdio", "command": ["run"], "ttl": 3600,
            "capabilities": {"tools": tools}}


class Caller:
    """One client with a connection of its own, as quick as Python can be."""

    def __init__(self, port):
        self.connection = socket.create_connection(("127.0.0.1", port), 20)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, method, path, body=None):
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        self.connection.sendall(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)

    def answered(self):
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self.connection.recv(1 << 16)
        missing = end + 4 + int(re.search(rb"content-length: (\d+)", received)[1]) - len(received)
        while missing > 0:
            missing -= len(self.connection.recv(1 << 16))
        assert received[9:12] in (b"200", b"201"), received

    def timed(self, *request):
        """The milliseconds that one request takes."""
        begin = time.perf_counter()
        self.send(*request)
        self.answered()
        return (time.perf_counter() - begin) * 1000


class Crowd:
    """Many watchers in one loop."""

    def __init__(self, port, queries):
        self.poll, self.sockets, self.received = select.epoll(), {}, {}
        for query in queries:
            connection = socket.create_connection(("127.0.0.1", port), 20)
            connection.sendall(f"GET /v1/watch{query} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
            connection.setblocking(False)
            self.sockets[connection.fileno()] = connection
            self.poll.register(connection, select.EPOLLIN)
        self.snapshots = self.told(b"\nevent: snapshot\n")

    def told(self, mark):
        """What each has received when it has the whole event with this mark, and when that was."""
        waiting, told, end = set(self.sockets), [], time.perf_counter() + 20
        self.received = dict.fromkeys(waiting, b"")
        while waiting:
            assert time.perf_counter() < end, f"{len(waiting)} of {len(self.sockets)} watchers were not told {mark}"
            for place, _ in self.poll.poll(1):
                received = self.sockets[place].recv(1 << 18)
                assert received, "a watcher was cut off"
                self.received[place] += received
                if place in waiting and self.received[place].endswith(b"\n\n\r\n") and mark in self.received[place]:
                    waiting.remove(place)
                    told.append((time.perf_counter(), self.received[place]))
        return told

    def leave(self):
        for connection in self.sockets.values():
            connection.close()
        self.poll.close()


def metric(port, name):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return int(re.search(rf"^{name} (\d+)$", text, re.MULTILINE)[1])


def watchers_become(port, count, seconds=10):
    """Waits until the registry counts so many; returns how long that took."""
    begin = time.monotonic()
    while (now := metric(port, "paulina_watchers")) != count:
        assert time.monotonic() < begin + seconds, f"{now} watchers and not {count} after {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - begin


def fan_out():
    process = served("fan-out")
    caller = Caller(process.port)
    for place in range(20):
        caller.timed("POST", "/v1/servers", server(f"small-{place}"))
    before = process.resident_mib() * 1024
    crowd = Crowd(process.port, [""] * WATCHERS)
    opened = process.resident_mib() * 1024
    epoch = re.search(rb"\nid: (\w+)-20\n", crowd.snapshots[0][1])[1].decode()
    times, last = [], []
    for revision in range(21, 41):
        time.sleep(0.05)
        begin = time.perf_counter()
        caller.send("POST", "/v1/servers", server(f"new-{revision}"))
        told = [(at - begin) * 1000 for at, _ in crowd.told(f"id: {epoch}-{revision}\nevent: registered\n".encode())]
        caller.answered()
        times += told
        last.append(told[-1])
    after = process.resident_mib() * 1024
    print(f"fan-out: {WATCHERS} watchers know of a change after p50 {median(times):.1f} ms, the last of them after p50 "
          f"{median(last):.1f} ms, max {max(last):.1f}; {before:.0f} KiB became {opened:.0f}, {after:.0f} after 20 "
          f"changes: {(opened - before) / WATCHERS:.1f} and {(after - before) / WATCHERS:.1f} KiB each", flush=True)
    assert max(last) <= REACHED, f"the last of {WATCHERS} watchers waited {max(last):.0f} ms"
    crowd.leave()
    process.stop()


def written(caller, marks, count=120):
    """The median of some lone writes, and of ten times as many refreshes, in milliseconds."""
    posts = [caller.timed("POST", "/v1/servers", server("small-1", f"mark {next(marks)}")) for _ in range(count)]
    return median(posts), median(caller.timed("PUT", "/v1/servers/small-2/refresh") for _ in range(10 * count))


def idle(turns=16):
    """One registry, with the watchers and without them in turns. Each time with them is compared with those beside it."""
    process, marks = served("idle"), itertools.count()
    caller = Caller(process.port)
    for place in range(20):
        caller.timed("POST", "/v1/servers", server(f"small-{place}"))
    queries = [f"?tag=nobody-{place}" if place % 2 else "?tool=nobody-has-this" for place in range(WATCHERS)]
    alone, beside = [written(caller, marks)], []
    for _ in range(turns):
        crowd = Crowd(process.port, queries)
        beside.append(written(caller, marks))
        crowd.leave()
        watchers_become(process.port, 0, 40)
        alone.append(written(caller, marks))
    process.stop()
    for place, what in enumerate(("a write", "a refresh")):
        ratios = [2 * found[place] / (before[place] + after[place])
                  for before, found, after in zip(alone, beside, alone[1:])]
        print(f"idle: {what} takes {median(each[place] for each in alone):.3f} ms; with {WATCHERS} idle watchers it takes "
              f"{median(ratios):.3f} of that, {min(ratios):.2f} to {max(ratios):.2f} in {turns} turns", flush=True)
        assert median(ratios) <= DEARER, f"{what} costs {median(ratios):.2f} times as much with idle watchers"


def reads(port, seconds):
    """The milliseconds of each of another client's reads."""
    caller, end, times = Caller(port), time.monotonic() + seconds, []
    while time.monotonic() < end:
        times += [caller.timed("GET", path) for path in ("/v1/servers/small-1", "/v1/servers?tool=small-2-tool-1")]
        time.sleep(0.002)
    return times


def p99(times):
    return sorted(times)[len(times) * 99 // 100]


class Slow:
    """A registry of large servers, one watcher that reads as it should, and what is measured meanwhile."""

    def __init__(self, pool):
        self.process, self.pool = served("slow", "--write-timeout", "3s"), pool
        self.client, self.marks, self.most, self.good = Client(self.process.port), itertools.count(), 0, None

    async def sample(self):
        while True:
            self.most = max(self.most, self.process.resident_mib())
            await asyncio.sleep(0.02)

    async def change(self):
        """Registers or replaces a large server; returns the milliseconds until the good watcher has that."""
        mark = next(self.marks)
        body = server(f"large-{mark % 3}", f"mark {mark}", LARGE // 3000, f"{mark % 10}" * 3000)
        begin = time.perf_counter()
        asking = asyncio.create_task(self.client.post("/v1/servers", body))
        item = await anext(self.good)
        took = (time.perf_counter() - begin) * 1000
        assert f'"title":"mark {mark}"'.encode() in item.data, f"the good watcher was told {item.data[:300]}"
        assert (await asking).status in (200, 201)
        return took

    async def window(self):
        """The p99 of reads and of the good watcher's events while large servers come and change."""
        reading = asyncio.wrap_future(self.pool.submit(reads, self.process.port, CHANGES * PACE))
        events = []
        for _ in range(CHANGES):
            begin = time.monotonic()
            events.append(await self.change())
            await asyncio.sleep(max(0, begin + PACE - time.monotonic()))
        return p99(await reading), p99(events)

    async def clear(self):
        for place in range(3):
            assert (await self.client.delete(f"/v1/servers/large-{place}")).status == 204
            await anext(self.good)

    async def rest(self, stream):
        """The last that came whole before the registry cut it off."""
        position = None
        try:
            async with asyncio.timeout(10):
                async for item in stream.items():
                    position = item.id
        except BROKEN as error:
            assert not isinstance(error, TimeoutError), "a slow watcher was not cut off"
        assert not stream.ended, "a slow watcher's stream ended in order"
        stream.close()
        assert position, "not even a snapshot came"
        return position

    async def resume(self, position, rows):
        """Takes all that it lacks, each once and in its order; returns how many changes that were."""
        stream, reached = await Stream.open(self.process.port, since=position), number(position)
        assert stream.status == 200, f"resuming is answered {stream.status}"
        count, last = 0, max(rows)
        async with asyncio.timeout(30):
            async for item in stream.items():
                assert number(item.id) == reached + 1, f"{item.event} {item.id} comes after {reached}"
                reached += 1
                kind, summary = rows[reached]
                assert item.event == kind and item.data.endswith(b'"server":' + summary + b"}"), f"{item.id} is wrong"
                count += 1
                if reached == last:
                    break
        assert reached == last, f"the stream ends at {reached} of {last}"
        stream.close()
        return count

    async def all(self):
        for place in range(20):
            await self.client.post("/v1/servers", server(f"small-{place}"))
        stream = await Stream.open(self.process.port)
        self.good = stream.items()
        await anext(self.good)
        sampling = asyncio.create_task(self.sample())
        self.pool.submit(reads, self.process.port, 0.1).result()
        await self.window()
        await self.clear()
        before = await self.window()
        await self.clear()
        memory, self.most = self.process.resident_mib(), 0
        slow = await asyncio.gather(*(Stream.open(self.process.port, small=True) for _ in range(SLOW)))
        beside = await self.window()
        took = await asyncio.to_thread(watchers_become, self.process.port, 1, 10)
        crowded, self.most = self.most, 0
        positions = await asyncio.gather(*map(self.rest, slow))
        rows = {revision: (kind, (after or before).encode()) for revision, kind, before, after in
                reading(self.process.database).execute("SELECT revision, kind, before, after FROM changes")}
        counts = await asyncio.gather(*(self.resume(position, rows) for position in positions))
        resumed, self.most = self.most, 0
        first = f"{positions[0].partition('-')[0]}-20"
        stuck = await asyncio.gather(*(Stream.open(self.process.port, since=first, small=True) for _ in range(SLOW)))
        await asyncio.sleep(2)
        for each in stuck:
            each.close()
        sampling.cancel()
        print(f"slow: {SLOW} that read nothing beside changes of {LARGE >> 10} KiB: p99 of reads {before[0]:.1f} ms "
              f"became {beside[0]:.1f}, of a good watcher's events {before[1]:.1f} ms became {beside[1]:.1f}; all are "
              f"cut off {took:.1f} s after the last change; {memory:.0f} MiB became {crowded:.0f}, {resumed:.0f} while "
              f"they took the {min(counts)} to {max(counts)} changes that they lacked, and {self.most:.0f} when they "
              f"resumed far back and read nothing", flush=True)
        assert beside[0] <= max(3 * before[0], SOON), "the p99 of reads more than tripled"
        assert beside[1] <= 3 * before[1], "the p99 of a good watcher's events more than tripled"
        assert crowded - memory <= ROOM, f"slow watchers took {crowded - memory:.0f} MiB"
        assert resumed - memory <= ROOM, f"watchers that resumed took {resumed - memory:.0f} MiB"
        assert self.most - memory <= ROOM, f"watchers that resumed and read nothing took {self.most - memory:.0f} MiB"
        stream.close()
        self.client.close()
        await asyncio.to_thread(self.process.stop)


async def hoard():
    """One that reads nothing while megabytes are written again and again, and is not cut off yet."""
    process = served("hoard")
    client = Client(process.port)

    async def write(marks):
        for mark in marks:
            body = server("huge", f"mark {mark}", HUGE // 5000, f"{mark % 10}" * 5000)
            assert (await client.post("/v1/servers", body)).status in (200, 201)
        return process.resident_mib()

    before = await write(range(20))
    stream = await Stream.open(process.port, small=True)
    after = await write(range(20, 100))
    print(f"slow: one that reads nothing beside 80 changes of {HUGE >> 10} KiB: {before:.0f} MiB became {after:.0f}",
          flush=True)
    assert after - before <= ROOM, f"one slow watcher took {after - before:.0f} MiB"
    stream.close()
    client.close()
    await asyncio.to_thread(process.stop)


async def problem(stream, status, code):
    assert stream.status == status, f"answered {stream.status}, not {status}"
    body = json.loads(await stream.body())
    assert stream.headers["content-type"] == "application/problem+json", f"not a problem: {stream.headers}"
    assert body["code"] == code, f"not {code}: {body}"
    stream.close()


async def crowded():
    process = served("crowded", "--max-watchers", "5")
    port, full = process.port, []
    for _ in range(5):
        full.append(await Stream.open(port))
        assert (await full[-1].item(5)).event == "snapshot"
    sixth = await Stream.open(port)
    assert int(sixth.headers.get("retry-after", 0)) > 0, f"no Retry-After in {sixth.headers}"
    await problem(sixth, 503, "overloaded")
    await asyncio.to_thread(watchers_become, port, 5, 0.5)
    client = Client(port)
    assert (await client.get("/v1/servers")).status == 200, "watchers take the places of other requests"
    full.pop().close()
    left = await asyncio.to_thread(watchers_become, port, 4, 2)
    full.append(await Stream.open(port))
    assert (await full[-1].item(5)).event == "snapshot"
    for stream in full:
        stream.close()
    await asyncio.to_thread(watchers_become, port, 0, 2)
    client.close()
    await asyncio.to_thread(process.stop)
    return f"the sixth of five gets 503, and a place {left * 1000:.0f} ms after one has left"


async def until_ended(stream, seconds):
    """How long a stream still goes on. Tokens are written beside the registry, so it may have shown once more what was
    there before."""
    begin = time.monotonic()
    while item := await stream.item(seconds):
        assert b'"servers":[]' in item.data, f"{item} was told to a token that was revoked"
    stream.close()
    return time.monotonic() - begin


async def token(process, verb, name, *role):
    command = [BINARY, "token", verb, "--database", process.database, "--name", name, *role]
    running = await asyncio.create_subprocess_exec(*command, stdout=-1, stderr=-1)
    out, error = await running.communicate()
    assert running.returncode == 0, error
    return out.decode().split()[-1] if verb == "create" else None


async def unauthorized(port, token, seconds=3):
    """Waits until a token, or none, is refused."""
    end = time.monotonic() + seconds
    while (stream := await Stream.open(port, token=token)).status == 200:
        stream.close()
        assert time.monotonic() < end, f"still admitted after {seconds} s"
        await asyncio.sleep(0.05)
    await problem(stream, 401, "unauthorized")


async def watching(port, filters, token):
    stream = await Stream.open(port, filters, token=token)
    assert stream.status == 200 and (await stream.item(5)).event == "snapshot"
    return stream


async def closed():
    process = served("closed")
    port = process.port
    anonymous = await watching(port, NOBODY, None)
    quiet, eager = [await token(process, "create", name, "--role", "read") for name in ("quiet", "eager")]
    writer = await token(process, "create", "writer", "--role", "register")
    await unauthorized(port, None)
    await unauthorized(port, "paulina_nonsense")
    streams = [anonymous, await watching(port, NOBODY, quiet)]
    told, kept = await watching(port, [], eager), await watching(port, [("owner", "writer")], writer)
    for name in ("quiet", "eager"):
        await token(process, "revoke", name)
    await asyncio.gather(unauthorized(port, quiet), unauthorized(port, eager))
    data = json.dumps(server("own")).encode()
    reader, sender = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /v1/servers HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {writer}\r\n"
    sender.write(f"{head}content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data)
    assert b" 201 " in await reader.readline()
    sender.close()
    while (item := await kept.item(5)).event == "snapshot":
        pass  # Tokens are written beside the registry.
    assert item.event == "registered" and json.loads(item.data)["server"]["owner"] == "writer", item
    at_event = await until_ended(told, 2)
    times = await asyncio.gather(*(until_ended(stream, 16) for stream in streams))
    with contextlib.suppress(TimeoutError):
        item = await kept.item(16)
        raise AssertionError(f"{item} was told though nothing happened")
    assert kept.comments > 0, "no comment within 16 s"
    kept.close()
    await asyncio.to_thread(process.stop)
    return (f"a stream without the right to it ends {at_event * 1000:.0f} ms after its next event, silent ones after "
            f"{min(times):.1f} to {max(times):.1f} s")


async def ended():
    process = served("ended")
    streams = [await watching(process.port, [], None) for _ in range(100)]
    begin = time.monotonic()
    process.process.send_signal(signal.SIGTERM)
    assert await asyncio.gather(*(stream.item(5) for stream in streams)) == [None] * 100
    streams_end = time.monotonic() - begin
    assert all(stream.ended for stream in streams), "streams are broken off and not ended"
    for stream in streams:
        stream.close()
    assert await asyncio.to_thread(process.process.wait, 20) == 0
    took = time.monotonic() - begin
    assert took <= 2, f"with 100 watchers the registry took {took:.1f} s to end"
    return f"SIGTERM ends 100 streams in {streams_end * 1000:.0f} ms, and the process in {took * 1000:.0f}"


async def edited():
    """Somebody writes to the file beside the registry."""
    process = served("edited")
    client = Client(process.port)
    for place in range(3):
        await client.post("/v1/servers", {**server(f"small-{place}"), "tags": ["few"] if place == 1 else []})
    streams = [await watching(process.port, filters, None) for filters in ([], [("tag", "few")])]
    connection = sqlite3.connect(process.database, isolation_level=None, timeout=5)
    times = []
    for sql, right in [
        ("UPDATE servers SET title = 'edited' WHERE id = 'small-1'", [{"small-0", "small-1", "small-2"}, {"small-1"}]),
        ("DELETE FROM servers WHERE id = 'small-0'", [{"small-1", "small-2"}, {"small-1"}]),
        ("UPDATE tags SET tag = 'many' WHERE tag = 'few'", [{"small-1", "small-2"}, set()]),
    ]:
        connection.execute("PRAGMA foreign_keys = ON")
        begin = time.monotonic()
        connection.execute(sql)
        for stream, ids in zip(streams, right):
            item = await stream.item(5)
            times.append(time.monotonic() - begin)
            found = {shown["id"]: shown for shown in json.loads(item.data)["servers"]}
            assert item.event == "snapshot" and found.keys() == ids, f"after {sql}: {item.event} of {found.keys()}"
            assert "small-1" not in found or found["small-1"]["title"] == "edited", f"after {sql}: {found['small-1']}"
    connection.close()
    await client.post("/v1/servers", server("after"))
    assert (await streams[0].item(5)).event == "registered", "nothing follows the snapshots"
    for stream in streams:
        stream.close()
    client.close()
    await asyncio.to_thread(process.stop)
    assert max(times) <= 2, f"an edit showed after {max(times):.1f} s"
    return f"an edit beside shows within {max(times):.1f} s"


async def refused():
    process = served("refused")
    client, port = Client(process.port), process.port
    revision = (await client.get("/v1/servers")).json()["revision"]
    for query in ("q=files", "limit=5", "cursor=abc", "view=full", "healthy=false", "healthy=perhaps", "since=nonsense",
                  "since=0-1", f"since={revision}&since={revision}", "x=1", "tool=", "metadata=team"):
        stream = await Stream.open(port, [tuple(pair.split("=")) for pair in query.split("&")])
        assert stream.status == 400, f"?{query} is answered {stream.status}"
        await problem(stream, 400, "invalid_query")
    await client.post("/v1/servers", server("one"))
    now = (await client.get("/v1/servers")).json()["revision"]
    for since, event in [(revision, "registered"), ("00000000-0", "snapshot"), (f"{now}9", "snapshot"),
                         ("what", "snapshot")]:
        stream = await Stream.open(port, since=since)
        item = await stream.item(5)
        assert (item.event, item.id) == (event, now), f"after {since}: {item}"
        stream.close()
    allowed = []
    for method in ("POST", "PUT", "DELETE", "HEAD"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{method} /v1/watch HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        writer.close()
        allowed.append((method, head.split()[1], "\r\nallow: get" in head))
    expected = [(method, "405", True) for method in ("POST", "PUT", "DELETE")] + [("HEAD", "200", False)]
    assert allowed == expected, f"method, status and Allow: {allowed}"
    client.close()
    await asyncio.to_thread(process.stop)
    return "queries and methods that make no sense are refused"


async def limits():
    said = await asyncio.gather(crowded(), closed(), ended(), edited(), refused())
    print(f"limits: {'; '.join(said)}", flush=True)


def main():
    same_sqlite()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard > 2 * WATCHERS + 500, f"needs {2 * WATCHERS + 500} file descriptors, and ulimit -Hn says {hard}"
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    part, *seed = sys.argv[1:] or ["all"]
    assert part in ("all", "load", "histories"), f"{part} is no part of this test"
    if part != "histories":
        load()
    if part != "load":
        seed = int(seed[0]) if seed else random.randrange(1 << 32)
        print(f"seed {seed}", flush=True)
        histories(seed)
    print(f"watchers, {part}: passed")


def load():
    """What many watchers cost, which is timed."""
    asyncio.run(limits())
    fan_out()
    idle()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        asyncio.run(Slow(pool).all())
    asyncio.run(hoard())


if __name__ == "__main__":
    main()
