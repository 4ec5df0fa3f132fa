"""What 50 watchers see while servers are written at random, and the registry is killed, stopped and put back from
backups.

Each history is compared with the table `changes`, by filters that are written here a second time. Numbers come again
after a restore: what happened is therefore kept by era, which is what lies between two restores.
"""

import asyncio
import contextlib
import json
import random
import re
import socket
import sqlite3
import sys
from bisect import bisect_right
from collections import Counter, defaultdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

sys.path.append(str(Path(__file__).resolve().parent / "faults"))
from client import Client, Unanswered  # noqa: E402
from process import Process, fresh_folder, reading  # noqa: E402

BROKEN = (OSError, EOFError, TimeoutError)
LEASE_TIMES = ("health", "refreshed_at", "expires_at")
KEPT = 20  # changes that are left when the table is cut


class Item(NamedTuple):
    """One event of a stream."""

    id: str
    event: str
    data: bytes


def parsed(block):
    """The event in what stands between two blank lines; nothing if it is a comment."""
    if block.startswith(b":"):
        assert b"\n" not in block, f"more than a comment: {block[:100]}"
        return None
    lines = block.split(b"\n")
    names, values = zip(*(line.partition(b": ")[::2] for line in lines))
    assert names == (b"id", b"event", b"data") and b"\r" not in block, f"not id, event and data: {block[:200]}"
    return Item(values[0].decode(), values[1].decode(), values[2])


class Stream:
    """An answer of GET /v1/watch, on a connection of its own."""

    def __init__(self, reader, writer, status, headers):
        self.reader, self.writer, self.status, self.headers = reader, writer, status, headers
        self.rest, self.ended, self.comments, self.coming = b"", False, 0, self.items()

    @classmethod
    async def open(cls, port, filters=(), *, since=None, by_query=False, token=None, small=False):
        """Connects and asks; with small buffers if the registry is to notice soon that nobody reads."""
        pairs, headers = list(filters), "host: 127.0.0.1\r\n"
        if since and by_query:
            pairs.append(("since", since))
        elif since:
            headers += f"last-event-id: {since}\r\n"
        if token:
            headers += f"authorization: Bearer {token}\r\n"
        connection = socket.socket()
        if small:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
        except BaseException:
            connection.close()
            raise
        reader, writer = await asyncio.open_connection(sock=connection, limit=1 << (13 if small else 20))
        try:
            writer.write(f"GET /v1/watch?{urlencode(pairs)} HTTP/1.1\r\n{headers}\r\n".encode())
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines if line)
            status = int(first.split()[1])
            assert status != 200 or headers["content-type"] == "text/event-stream", f"a stream of {headers}"
            return cls(reader, writer, status, headers)
        except BaseException:
            writer.transport.abort()
            raise

    async def items(self):
        """The events; ends when the registry ends the stream in order, and is broken off with what `BROKEN` names."""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            chunk = await self.reader.readexactly(size + 2)
            *blocks, self.rest = (self.rest + chunk[:-2]).split(b"\n\n")
            for block in blocks:
                if item := parsed(block):
                    yield item
                else:
                    self.comments += 1
        assert not self.rest, f"the stream ends within an event: {self.rest[:100]}"
        self.ended = True

    async def item(self, seconds):
        """The next event; nothing when the stream ends before."""
        async with asyncio.timeout(seconds):
            return await anext(self.coming, None)

    async def body(self):
        """The body of an answer that is no stream."""
        return await self.reader.readexactly(int(self.headers["content-length"]))

    def close(self):
        self.writer.transport.abort()


def number(revision):
    return int(revision.partition("-")[2])


def serves(resource, uri):
    """Whether a resource, as a summary shows it, can serve a URI."""
    if "uri_template" not in resource:
        return resource["uri"] == uri
    literals = re.split(r"\{[^}]*\}|\*", resource["uri_template"])
    return re.fullmatch(".*".join(map(re.escape, literals)), uri, re.DOTALL) is not None


def has(capabilities, name):
    value = capabilities.get(name, False)
    return bool(value) if isinstance(value, list) else value is not False


def matches(filters, server):
    """Whether a server, as a summary shows it, matches all filters."""
    capabilities = server["capabilities"]
    tests = {
        "tool": lambda value: any(tool["name"] == value for tool in capabilities["tools"]),
        "prompt": lambda value: any(prompt["name"] == value for prompt in capabilities["prompts"]),
        "resource": lambda value: any(serves(resource, value) for resource in capabilities["resources"]),
        "capability": lambda value: has(capabilities, value),
        "tag": lambda value: value in server["tags"],
        "tags": lambda value: set(value.split(",")) <= set(server["tags"]),
        "metadata": lambda value: server["metadata"].get(value.partition(":")[0]) == value.partition(":")[2],
        "healthy": lambda value: True,
    }
    return all(tests[key](value) if key in tests else server[key] == value for key, value in filters)


class Row(NamedTuple):
    """A row of `changes`, parsed."""

    revision: int
    at: str
    kind: str
    id: str
    before: dict | None
    after: dict | None

    @classmethod
    def read(cls, revision, at, kind, id, before, after):
        time = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=at)
        time = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return cls(revision, time, kind, id, *(side and json.loads(side) for side in (before, after)))

    def seen_by(self, filters):
        """The kind that a watcher is told and the summary that goes with it; nothing if this is not its concern."""
        was, now = (side is not None and matches(filters, side) for side in (self.before, self.after))
        if self.kind == "updated" and was != now:
            return ("registered", self.after) if now else ("deregistered", self.before)
        if was or now:
            return self.kind, self.after if now else self.before
        return None


class Era:
    """All changes between two restores, and what there was at the beginning."""

    def __init__(self, base, servers):
        self.base, self.servers, self.epoch, self.rows = base, servers, None, []

    @property
    def reached(self):
        return self.rows[-1].revision if self.rows else self.base

    def collect(self, connection):
        """Takes what is new from a file; returns the number before the first change that is kept there."""
        connection.execute("BEGIN")
        epoch, reached = connection.execute("SELECT epoch, revision FROM settings").fetchone()
        found = connection.execute("SELECT * FROM changes WHERE revision > ? ORDER BY revision", [self.reached])
        self.rows += [Row.read(*row) for row in found]
        first, = connection.execute("SELECT min(revision) FROM changes").fetchone()
        connection.close()
        assert self.epoch in (None, epoch), f"epoch {epoch} follows {self.epoch} though nothing was put back"
        self.epoch = epoch
        numbers = [row.revision for row in self.rows]
        assert numbers == list(range(self.base + 1, reached + 1)), f"changes have gaps, or do not go to {reached}"
        return reached if first is None else first - 1

    def concern(self, filters):
        """What watchers with these filters are to be told: numbers, and for each the row, the kind and the summary."""
        told = [(row, *seen) for row in self.rows if (seen := row.seen_by(filters))]
        return [row.revision for row, *_ in told], told

    def states(self, revisions):
        """The servers at each of these revisions, by id."""
        servers, rows, states = dict(self.servers), iter(self.rows), {}
        reached = self.base
        for revision in sorted(revisions):
            assert self.base <= revision <= self.reached, f"revision {revision} is not one of {self.epoch}"
            for row in (next(rows) for _ in range(revision - reached)):
                servers.pop(row.id, None)
                if row.after is not None:
                    servers[row.id] = row.after
            reached = revision
            states[revision] = dict(servers)
        return states


class Run(NamedTuple):
    """One process: its era, and the number before the first change that the table held."""

    era: int
    floor: int


class Connection(NamedTuple):
    """What came after what was seen before, and in which run."""

    since: str | None
    run: Run
    items: list


class Watcher:
    """Watches, breaks off by itself now and then, and resumes after every break. A sluggish one at times rests."""

    def __init__(self, harness, filters, chance, sluggish):
        self.harness, self.filters, self.chance, self.sluggish = harness, filters, chance, sluggish
        self.connections, self.position = [], None

    async def work(self):
        while True:
            run = self.harness.runs[-1]
            with contextlib.suppress(*BROKEN):
                stream = await Stream.open(self.harness.process.port, self.filters, since=self.position,
                                           by_query=self.chance.random() < 0.3, small=self.sluggish)
                try:
                    await self.follow(run, stream)
                finally:
                    stream.close()
            pause = self.chance.uniform(2, 5) if self.chance.random() < 0.1 else self.chance.uniform(0, 0.2)
            await asyncio.sleep(pause)

    async def follow(self, run, stream):
        assert stream.status in (200, 503), f"{self.filters} is answered {stream.status}"
        if stream.status != 200 or run is not self.harness.runs[-1]:
            return
        connection = Connection(self.position, run, [])
        self.connections.append(connection)
        async with asyncio.timeout(self.chance.expovariate(1 / 4)):
            async for item in stream.items():
                connection.items.append(item)
                self.position = item.id
                if self.sluggish and self.chance.random() < 0.01:
                    await asyncio.sleep(self.chance.uniform(0, 2))


NAMES = ["files", "search", "mail", "maps"]
VERSIONS = ["1.0.0", "1.1.0", "2.0.0", None]
TAGS = "local remote beta stable eu us".split()
TOOLS = [f"{verb}_{noun}" for verb in ("read", "write") for noun in ("file", "mail", "map", "note")]
PROMPTS = ["summarise", "translate", "explain"]
RESOURCES = ["file:///etc/hosts", "file:///{path}", "db://*/users", "db://main/{table}", "doc://a?b[1]",
             "note://{a}/b/*", {"uri": "doc://{literal}", "name": "braces"},
             {"uriTemplate": "log://{day}", "name": "log"}]
FLAGS = [True, False, {}, {"level": 1}]
FILTERS = [
    *[[]] * 7, [("healthy", "any")], [("healthy", "true")],
    *[[("name", value)] for value in NAMES[:3]], *[[("version", value)] for value in VERSIONS[:3]],
    *[[("tool", value)] for value in TOOLS[:4]], *[[("prompt", value)] for value in PROMPTS[:2]],
    *[[("resource", uri)] for uri in ("file:///etc/hosts", "db://main/users", "doc://a?b[1]", "doc://{literal}",
                                      "note://x/b/c/b/", "log://today")],
    *[[("capability", name)] for name in ("tools", "prompts", "resources", "sampling", "logging", "none")],
    *[[("tag", value)] for value in TAGS[:3]], [("tag", "local"), ("tag", "beta")],
    [("tags", "eu,us")], [("tags", "stable,local"), ("tag", "eu")],
    *[[("transport", kind)] for kind in ("stdio", "streamable-http", "sse")],
    [("metadata", "team:red")], [("metadata", "zone:eu:west")],
    [("metadata", "team:red"), ("metadata", "zone:eu:west")],
    [("tool", "read_file"), ("transport", "stdio")], [("name", "mail"), ("version", "1.0.0"), ("tag", "us")],
    [("tool", "write_map"), ("tool", "read_map"), ("capability", "logging")],
    [("resource", "file:///a"), ("metadata", "team:blue"), ("prompt", "explain")], [("tag", "nobody-has-this")],
]


def registration(id, mark, chance, ttl):
    """A registration that matches some filters; its title is like no other."""
    some = lambda values: chance.sample(values, chance.randrange(len(values) // 2 + 1))  # noqa: E731
    transport = chance.choice([{"transport": "stdio", "command": ["run", mark]}] + [
        {"transport": kind, "url": f"http://127.0.0.1/{mark}"} for kind in ("streamable-http", "sse")])
    flags = {name: chance.choice(FLAGS) for name in some(["sampling", "logging", "experimental", "completions"])}
    metadata = dict(some([("team", chance.choice(["red", "blue"])), ("zone", "eu:west"), ("line", "a\u2028b")]))
    return {"id": id, "name": chance.choice(NAMES), "title": mark, "version": chance.choice(VERSIONS), **transport,
            "description": "two\n\nlines", "tags": some(TAGS), "metadata": metadata, "ttl": ttl, "capabilities":
            {"tools": some(TOOLS), "prompts": some(PROMPTS), "resources": some(RESOURCES), **flags}}


class Writer:
    """Writes one thing after the other, and keeps what was acknowledged."""

    def __init__(self, harness, name, chance, pause):
        self.harness, self.name, self.chance, self.pause = harness, name, chance, pause
        self.client, self.bodies, self.count, self.acknowledged = Client(harness.process.port), {}, 0, []

    async def work(self):
        while True:
            operation = self.chance.choice([self.register, self.replace, self.replace, self.repeat, self.deregister,
                                            self.refresh] if self.bodies else [self.register])
            with contextlib.suppress(Unanswered):
                await operation()
            await asyncio.sleep(self.chance.expovariate(1 / self.pause))

    async def ask(self, method, path, body=None, *, right):
        """The answer if it is right; none of what the registry does while it stops."""
        answer = await self.client.request(method, path, body)
        if answer.status == 503:
            raise Unanswered(answer.code)
        assert answer.status in right, f"{method} {path} is answered {answer.status}: {answer.body[:300]}"
        return answer

    def any(self):
        return self.chance.choice(list(self.bodies))

    async def put(self, id, ttl=3600):
        self.count += 1
        era, body = self.harness.runs[-1].era, registration(id, f"{id}.{self.count}", self.chance, ttl)
        self.bodies[id] = body
        await self.ask("POST", "/v1/servers", body, right=(200, 201))
        self.acknowledged.append((era, id, body["title"]))

    async def register(self):
        if len(self.bodies) >= 15:
            return await self.deregister()
        await self.put(f"{self.name}-{self.count}")

    async def replace(self):
        await self.put(self.any())

    async def repeat(self):
        await self.ask("POST", "/v1/servers", self.bodies[self.any()], right=(200, 201))

    async def deregister(self):
        era, id = self.harness.runs[-1].era, self.any()
        answer = await self.ask("DELETE", f"/v1/servers/{id}", right=(204, 404))
        del self.bodies[id]
        if answer.status == 204:
            self.acknowledged.append((era, id, None))

    async def refresh(self):
        await self.ask("PUT", f"/v1/servers/{self.any()}/refresh", right=(200, 404))


class Mortal(Writer):
    """One whose servers soon expire; some are then revived, replaced or taken out before they are deleted."""

    async def work(self):
        while True:
            with contextlib.suppress(Unanswered):
                await self.put(f"{self.name}-{self.count}", self.chance.randrange(1, 3))
                found = await self.ask("GET", "/v1/servers?healthy=false&limit=1000", right=(200,))
                mine = [server["id"] for server in found.json()["servers"] if server["id"] in self.bodies]
                for id in self.chance.sample(mine, min(len(mine), 2)):
                    await self.chance.choice([self.revive, self.replace_one, self.take_out])(id)
            await asyncio.sleep(self.pause)

    async def revive(self, id):
        await self.ask("PUT", f"/v1/servers/{id}/refresh", right=(200, 404))

    async def replace_one(self, id):
        await self.put(id, self.chance.randrange(1, 3))

    async def take_out(self, id):
        await self.ask("DELETE", f"/v1/servers/{id}", right=(204, 404))


class Burst(Writer):
    """So many servers at once that they do not fit into what is kept for each watcher."""

    async def work(self):
        servers = [Writer(self.harness, f"{self.name}-{number}", self.chance, 0) for number in range(400)]

        async def one(writer):
            with contextlib.suppress(Unanswered):
                await writer.register()
                await writer.deregister()
            writer.client.close()
            self.acknowledged += writer.acknowledged

        await asyncio.gather(*map(one, servers))


class Harness:
    """The registry, its watchers and writers, its backups, and what has happened."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        database = fresh_folder("watchers") / "now" / "paulina.db"
        database.parent.mkdir()
        self.process = Process(database, "--retention", "3s")
        self.aside, self.backup = database.parent.with_name("aside"), database.parent.with_name("backup.db")
        self.eras, self.runs, self.origin = [Era(0, {})], [Run(0, 0)], None
        self.watchers = [Watcher(self, filters, self.branch(), place % 3 == 0) for place, filters in enumerate(FILTERS)]
        self.writers = [Writer(self, f"w{name}", self.branch(), 0.03) for name in range(5)]
        self.writers += [Mortal(self, f"m{name}", self.branch(), 0.2) for name in range(3)]
        self.bursts, self.tasks, self.ends = [], [], Counter()

    def branch(self):
        return random.Random(self.chance.random())

    def database(self):
        return self.process.database

    def files(self):
        return list(self.database().parent.glob("paulina.db*"))

    async def start(self, floor):
        """Another process; whoever connects from now on is in its run."""
        self.runs.append(Run(len(self.eras) - 1, floor))
        await asyncio.to_thread(self.process.start)

    def begin(self, workers):
        self.tasks += [asyncio.create_task(worker.work()) for worker in workers]

    async def run(self, seconds, end):
        """Lets the registry run for so long, ends it, takes what it has written, and starts it again."""
        if end == "burst":
            self.bursts.append(Burst(self, f"b{len(self.bursts)}", self.branch(), 0))
            self.begin(self.bursts[-1:])
            end = "kill"
        await asyncio.sleep(seconds)
        for task in self.tasks:
            if task.done():
                task.result()
        self.ends[end] += 1
        await getattr(self, f"end_by_{end}")()

    def look(self):
        """What a process that has ended has left; returns the number before the first change that is kept."""
        for path in self.aside.glob("*"):
            path.unlink()
        self.aside.mkdir(exist_ok=True)
        for path in self.files():
            if not path.name.endswith("-shm"):
                (self.aside / path.name).write_bytes(path.read_bytes())
        copy = sqlite3.connect(self.aside / "paulina.db", isolation_level=None)
        floor = self.eras[-1].collect(copy)
        assert floor == self.runs[-1].floor or not self.eras[-1].rows, "changes were deleted while it ran"
        return floor

    async def end_by_kill(self):
        await asyncio.to_thread(self.process.kill)
        await self.start(self.look())

    async def end_by_stop(self):
        await asyncio.to_thread(self.process.stop)
        await self.start(self.look())

    async def end_by_cut(self):
        """Stopped; then old changes are deleted, as the registry does with more of them."""
        await asyncio.to_thread(self.process.stop)
        self.look()
        floor = self.eras[-1].reached - KEPT
        connection = sqlite3.connect(self.database(), isolation_level=None)
        connection.execute("DELETE FROM changes WHERE revision <= ?", [floor])
        connection.close()
        await self.start(floor)

    async def end_by_copy(self):
        """Stopped; its file is then a backup."""
        await asyncio.to_thread(self.process.stop)
        floor = self.look()
        self.backup.write_bytes(self.database().read_bytes())
        self.origin = len(self.eras) - 1
        await self.start(floor)

    async def end_by_backup(self):
        """Killed soon after an online backup."""
        self.backup.unlink(missing_ok=True)
        source, target = reading(self.database()), sqlite3.connect(self.backup)
        source.backup(target)
        source.close()
        target.close()
        self.origin = len(self.eras) - 1
        await asyncio.sleep(0.5)
        await self.end_by_kill()

    async def end_by_restore(self):
        """Killed in the middle of writes, and put back."""
        await asyncio.to_thread(self.process.kill)
        self.look()
        await self.put_back()

    async def end_by_calm(self):
        """Ended when all watchers have seen everything, and put back."""
        await self.settle()
        await asyncio.to_thread(self.process.stop)
        self.look()
        await self.put_back()
        self.begin(self.writers)

    async def put_back(self):
        backup = sqlite3.connect(self.backup, isolation_level=None)
        base, = backup.execute("SELECT revision FROM settings").fetchone()
        first, = backup.execute("SELECT min(revision) FROM changes").fetchone()
        backup.close()
        lost = self.eras[-1].reached - base
        assert lost > 0, f"the backup at {base} lacks nothing"
        for path in self.files():
            path.unlink()
        self.database().write_bytes(self.backup.read_bytes())
        self.eras.append(Era(base, self.eras[self.origin].states([base])[base]))
        await self.start(first - 1)

    async def settle(self):
        """Ends the writers, and waits until every watcher has seen all that concerns it."""
        writing = self.tasks[len(self.watchers):]
        del self.tasks[len(self.watchers):]
        for task in writing:
            task.cancel()
        for error in await asyncio.gather(*writing, return_exceptions=True):
            assert error is None or isinstance(error, asyncio.CancelledError), error
        await asyncio.sleep(5)  # Until what is mortal has expired.
        self.eras[-1].collect(reading(self.database()))
        era = self.eras[-1]
        due = {watcher: (era.concern(watcher.filters)[0] or [era.base])[-1] for watcher in self.watchers}
        for _ in range(150):
            behind = {watcher: last for watcher, last in due.items() if not watcher.position
                      or not watcher.position.startswith(era.epoch) or number(watcher.position) < last}
            if not behind:
                return
            await asyncio.sleep(0.1)
        watcher, last = next(iter(behind.items()))
        raise AssertionError(f"{len(behind)} watchers lack events after 15 s: one of {watcher.filters} has come to "
                             f"{watcher.position}, not {era.epoch}-{last}")

    def short(self):
        return self.chance.uniform(0.2, 1.5)

    async def play(self):
        await self.start(0)
        self.begin(self.watchers)
        self.begin(self.writers)
        long, s = 8, self.short
        for seconds, end in [
            (long, "kill"), (s(), "stop"), (s(), "kill"), (s(), "backup"), (1.5, "burst"), (s(), "kill"), (s(), "cut"),
            (s(), "kill"), (1, "calm"), (s(), "kill"), (s(), "copy"), (long, "kill"), (1.5, "burst"), (s(), "stop"),
            (s(), "restore"), (s(), "kill"), (2, "burst"),
        ]:
            await self.run(seconds, end)
        await asyncio.sleep(1)
        await self.settle()
        for task in self.tasks:
            task.cancel()
        for error in await asyncio.gather(*self.tasks, return_exceptions=True):
            assert error is None or isinstance(error, asyncio.CancelledError), error
        await asyncio.to_thread(self.process.stop)
        self.look()


class Check:
    """Compares histories with the table."""

    def __init__(self, harness):
        self.harness, self.eras, self.counts, self.known = harness, harness.eras, Counter(), {}
        assert len({era.epoch for era in self.eras}) == len(self.eras), "a restore has not begun a new epoch"
        wanted = defaultdict(set)
        for watcher in harness.watchers:
            for connection in watcher.connections:
                for item in connection.items:
                    if item.event == "snapshot":
                        wanted[connection.run.era].add(number(item.id))
        self.states = [era.states(wanted[index]) for index, era in enumerate(self.eras)]

    def all(self):
        for watcher in self.harness.watchers:
            self.history(watcher)
        self.acknowledged()

    def history(self, watcher):
        """Everything that one watcher was told, in its order."""
        concern = [era.concern(watcher.filters) for era in self.eras]
        for connection in watcher.connections:
            since, run, items = connection
            where = f"{watcher.filters} after {since}"
            era = self.eras[run.era]
            anew = not since or not since.startswith(era.epoch) or number(since) < run.floor
            self.counts["resumed" if since else "begun"] += 1
            reached = None if anew else number(since)
            for item in items:
                epoch, _, revision = item.id.partition("-")
                assert epoch == era.epoch, f"{where}: {item.id} in the epoch {era.epoch}"
                if item.event == "snapshot":
                    assert reached is None, f"{where}: a snapshot at {item.id} instead of what followed"
                    self.snapshot(where, watcher.filters, run.era, item)
                    self.counts["snapshots"] += 1
                    self.counts["too late"] += bool(since) and since.startswith(era.epoch)
                else:
                    assert reached is not None, f"{where}: {item.event} {item.id} where a snapshot is due"
                    numbers, told = concern[run.era]
                    place = bisect_right(numbers, reached)
                    assert place < len(told), f"{where}: {item.event} {item.id} after all that there was"
                    assert numbers[place] == int(revision), f"{where}: {item.id} after {reached}, not {numbers[place]}"
                    self.change(where, item, *told[place])
                    self.counts["events"] += 1
                reached = int(revision)

    def change(self, where, item, row, kind, server):
        if self.known.get((item.id, kind)) == item.data:
            return
        right = {"revision": item.id, "kind": kind, "at": row.at, "server": server}
        shown = json.loads(item.data)
        assert item.event == kind and shown == right, f"{where}: {item.event} {shown} instead of {right}"
        self.known[item.id, kind] = item.data

    def snapshot(self, where, filters, era, item):
        shown = json.loads(item.data)
        assert shown["revision"] == item.id, f"{where}: the snapshot {item.id} says {shown['revision']}"
        timeless = lambda server: {key: value for key, value in server.items() if key not in LEASE_TIMES}  # noqa: E731
        found = {server["id"]: timeless(server) for server in shown["servers"]}
        assert len(found) == len(shown["servers"]), f"{where}: the snapshot {item.id} lists a server twice"
        state = self.states[era][number(item.id)]
        right = {id: timeless(server) for id, server in state.items() if matches(filters, server)}
        lacking, beyond = right.keys() - found.keys(), found.keys() - right.keys()
        assert not lacking and not beyond, f"{where}: the snapshot {item.id} lacks {lacking} and has {beyond} beyond"
        for id, server in right.items():
            assert found[id] == server, f"{where}: the snapshot {item.id} shows {found[id]} instead of {server}"

    def acknowledged(self):
        """All that was answered stands in the table, in its order, and in the histories of who watches everything."""
        placed, ended = [{} for _ in self.eras], [defaultdict(list) for _ in self.eras]
        for era, marks, ends in zip(self.eras, placed, ended):
            for row in era.rows:
                if row.after:
                    marks.setdefault(row.after["title"], row.revision)
                else:
                    ends[row.id].append(row.revision)
        seen = []
        for watcher in self.harness.watchers:
            if not watcher.filters:
                items = [(connection.run.era, item) for connection in watcher.connections for item in connection.items]
                told = {(era, number(item.id)) for era, item in items if item.event != "snapshot"}
                jumped = dict((era, number(item.id)) for era, item in items if item.event == "snapshot")
                last = dict((era, number(item.id)) for era, item in items)
                seen.append((told, jumped, last))
        for writer in self.harness.writers + self.harness.bursts:
            reached = {}
            for era, id, mark in writer.acknowledged:
                before = reached.get((era, id), 0)
                if mark is None:
                    revision = next((end for end in ended[era][id] if end > before), None)
                else:
                    revision = placed[era].get(mark)
                assert revision is not None, f"{id}, {mark or 'its end'}, was acknowledged in era {era} and is lost"
                assert revision > before, f"{id}, {mark}, was acknowledged after {before} and stands at {revision}"
                reached[era, id] = revision
                for told, jumped, last in seen:
                    if revision <= last.get(era, 0):
                        missing = (era, revision) not in told and revision > jumped.get(era, 0)
                        assert not missing, f"{id}, {mark}, at {revision} is missing in a history of everything"
                self.counts["acknowledged"] += 1


def histories(seed):
    harness = Harness(seed)
    begin = datetime.now()
    asyncio.run(harness.play())
    played, check = (datetime.now() - begin).total_seconds(), Check(harness)
    check.all()
    counts, rows = check.counts, [row for era in harness.eras for row in era.rows]
    kinds = Counter(row.kind for row in rows)
    revived = sum(row.kind == "registered" and row.after["registered_at"] < row.at for row in rows)
    seconds = (datetime.now() - begin).total_seconds()
    print(f"histories: {len(harness.watchers)} watchers, {len(rows)} changes {dict(kinds)} ({revived} of them came "
          f"back), {counts['acknowledged']} acknowledged, {dict(harness.ends)}: {counts['events']} events, "
          f"{counts['snapshots']} snapshots, {counts['resumed']} times resumed, {counts['too late']} of them too late; "
          f"played {played:.0f} s, checked {seconds - played:.0f} s", flush=True)
    assert harness.ends["kill"] + harness.ends["backup"] >= 10 and len(harness.eras) == 3, "too few kills or restores"
    assert len(rows) > 3000 and kinds["expired"] > 20 and revived > 3, "too little was written to prove anything"
    assert counts["too late"] > 0, "nobody resumed too late"
