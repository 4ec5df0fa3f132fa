"""Another process works on the file while the registry serves it: it reads for long, edits, locks, vacuums and makes
backups.

    python -m faults.second_writer [seconds of the long reader]

Callers and refreshes continue all the time. After each part the callers pause, and the whole catalog is compared to the
responses.
"""

import asyncio
import contextlib
import random
import sqlite3
import sys
import time

from faults.database import check_file, reading, same_sqlite
from faults.http_client import Client, listed
from faults.model import Caller, Model, body
from faults.process import Process, fresh_folder
from faults.refreshing import HealthMonitor, RefreshingServers

CALLERS = 16
PAUSE = 0.2  # seconds between two operations of a caller
HEARTBEATS, TTL = 40, 5
LIMIT = 64 << 20  # the registry truncates its WAL to this
CHECKPOINT = 4 << 20  # and checkpoints it long before it has grown by this
VISIBLE = 2  # seconds until an edit is visible
LOCKS = [8, 16]  # seconds that the write lock is held
WAIT = 12  # seconds: the registry waits 5 s for the lock, for the previous batch and for its own


class RetryingClient(Client):
    """Retries after 503, after the time in Retry-After, and after no other status."""

    retries = 0

    async def request(self, method, path, body=None):
        while True:
            answer = await super().request(method, path, body)
            if answer.status != 503:
                return answer
            RetryingClient.retries += 1
            assert answer.code == "overloaded", f"{method} {path}: {answer.body[:300]}"
            await asyncio.sleep(int(answer.headers["retry-after"]))


class Served:
    """The served registry, its callers, and the file."""

    def __init__(self):
        self.folder = fresh_folder("second-writer")
        self.database = self.folder / "now" / "paulina.db"
        self.database.parent.mkdir()
        self.wal = self.database.with_name("paulina.db-wal")
        self.process = Process(self.database)
        self.process.start()
        port, self.model, chance = self.process.port, Model(), random.Random(0)
        self.client = Client(port)
        self.callers = [
            Caller(f"c{number}", RetryingClient(port), self.model, random.Random(chance.random()), 3600, PAUSE)
            for number in range(CALLERS)
        ]
        self.refreshing = RefreshingServers(port, "alive-", HEARTBEATS, TTL, timeout=40)
        self.monitor = HealthMonitor(port, self.refreshing.ids)

    @contextlib.asynccontextmanager
    async def load(self):
        """Runs load during the context; then compares everything."""
        before = self.model.acknowledged
        for caller in self.callers:
            caller.stopping = False
        working = [asyncio.create_task(caller.work()) for caller in self.callers]
        yield
        for caller in self.callers:
            caller.stopping = True
        await asyncio.gather(*working)
        self.monitor.check()
        self.refreshing.check()
        assert self.model.acknowledged > before, "no request was acknowledged"
        await self.model.settle(self.client)

    def writing(self):
        """Opens a connection as an operator would. By default, sqlite3 does not enforce foreign keys."""
        return sqlite3.connect(self.database, isolation_level=None, timeout=20)

    async def in_thread(self, work):
        """Runs blocking work without blocking the load."""
        return await asyncio.to_thread(work)


async def long_reader(served, seconds):
    """A reader prevents checkpoints: the WAL grows, and is bounded again when the reader has closed."""
    size = lambda: served.wal.stat().st_size  # noqa: E731
    async with served.load():
        reader = reading(served.database)
        reader.execute("BEGIN")
        count = reader.execute("SELECT count(*) FROM servers").fetchone()
        initial = size()
        await asyncio.sleep(seconds)
        assert reader.execute("SELECT count(*) FROM servers").fetchone() == count, "the reader sees later changes"
        held = size()
        reader.close()
        assert held > initial + CHECKPOINT, f"the WAL grew by {held - initial} bytes only, which proves nothing"
        await asyncio.sleep(5)
        settled = size()
        await asyncio.sleep(seconds / 2)
        after = size()
        assert after <= settled + CHECKPOINT, f"the WAL keeps growing from {settled} to {after} bytes without a reader"
        assert after <= LIMIT + CHECKPOINT, f"the WAL stays at {after} bytes without a reader"
    print(
        f"a reader for {seconds:.0f} s: the WAL grew from {initial >> 10} to {held >> 10} KiB, then {settled >> 10}, "
        f"{after >> 10} KiB",
        flush=True,
    )


async def edits(served):
    """Edits by an operator are visible in every affected response."""
    model, client, slowest = served.model, served.client, 0

    async def becomes_visible(what, condition):
        nonlocal slowest
        begin = time.monotonic()
        while not await condition():
            assert time.monotonic() < begin + VISIBLE, f"{what} is not visible within {VISIBLE} s"
            await asyncio.sleep(0.02)
        slowest = max(slowest, time.monotonic() - begin)

    async def get(id):
        return await client.get(f"/v1/servers/{id}")

    async def found(query):
        return {server["id"]: server for server in (await listed(client, query))[0]}

    async with served.load():
        writing = served.writing()
        for number in range(10):
            id = f"edited-{number}"
            registration = model.servers[id] = body(id, 0, 3600)
            assert (await client.post("/v1/servers", registration)).status == 201, f"{id} is not registered"
            # Request these first, so that the responses are cached.
            await get(id), await found(f"tag=hand-{number}"), await found("name=name-1"), await client.get("/v1/stats")
            writing.execute("UPDATE servers SET title = 'by hand' WHERE id = ?", [id])
            await becomes_visible("an edited title", lambda: is_titled(get(id)))
            writing.execute("INSERT INTO tags SELECT number, ? FROM servers WHERE id = ?", [f"hand-{number}", id])
            await becomes_visible("an added tag", lambda: has(found(f"tag=hand-{number}"), id))
            shown = (await found(f"tag=hand-{number}"))[id]
            assert shown["title"] == "by hand", f"a page has the title {shown['title']}"
            await becomes_visible(
                "an added tag, in the totals", lambda: counts(client.get("/v1/stats"), f"hand-{number}")
            )
            if number % 2:
                tags = sorted([*registration["tags"], f"hand-{number}"])
                model.servers[id] = {**registration, "title": "by hand", "tags": tags}
                continue
            writing.execute("DELETE FROM servers WHERE id = ?", [id])
            del model.servers[id]
            answer = await client.put(f"/v1/servers/{id}/refresh")
            assert answer.status == 404, f"{id} is deleted, and a refresh returns {answer.status}"
            await becomes_visible("a deletion, in the record", lambda: is_gone(get(id)))
            await becomes_visible("a deletion, in the health", lambda: is_gone(client.get(f"/v1/servers/{id}/health")))
            await becomes_visible("a deletion, in lists", lambda: has_not(found("healthy=any&limit=1000"), id))
        writing.close()
    print(f"30 direct edits, the slowest visible after {slowest:.2f} s", flush=True)


async def is_titled(answer):
    return (await answer).json()["title"] == "by hand"


async def has(found, id):
    return id in await found


async def has_not(found, id):
    return id not in await found


async def counts(answer, tag):
    return (await answer).json()["servers"]["by_tag"].get(tag) == 1


async def is_gone(answer):
    return (await answer).status == 404


async def lock(served, seconds):
    """Holds the write lock: writers get a response or a Retry-After, and no server expires. Returns the longest time
    that a refresh waited for its response."""
    retries, polls = RetryingClient.retries, served.monitor.polls
    waits, refused = [], 0

    async def refresh(client):
        nonlocal refused
        while time.monotonic() < end:
            begin = time.monotonic()
            answer = await client.put(f"/v1/servers/{random.choice(list(served.refreshing.ids))}/refresh")
            waits.append(time.monotonic() - begin)
            assert answer.status in (200, 503), f"a refresh under a lock: status {answer.status}"
            assert answer.status == 503 or time.monotonic() > end, "a refresh returned 200 under a lock"
            assert answer.status == 200 or "retry-after" in answer.headers, "503 without Retry-After"
            refused += answer.status == 503
            await asyncio.sleep(random.random())

    async with served.load():
        writing = served.writing()
        writing.execute("BEGIN IMMEDIATE")
        end = time.monotonic() + seconds
        asyncio.get_running_loop().call_later(seconds, writing.execute, "ROLLBACK")
        await asyncio.gather(*(refresh(Client(served.process.port)) for _ in range(10)))
        await asyncio.sleep(5 + 2 * TTL)
        writing.close()
    assert served.monitor.polls > polls + 3 * seconds, "reads did not continue under the lock"
    print(
        f"the write lock held for {seconds} s: {refused} refreshes and {RetryingClient.retries - retries} changes were "
        f"told to retry, no client waited longer than {max(waits):.1f} s, expired 0",
        flush=True,
    )
    return max(waits)


async def maintenance(served):
    """VACUUM, VACUUM INTO and the backup API, three times each under load. The copies are complete."""

    def vacuum():
        writing = served.writing()
        writing.execute("VACUUM")
        writing.close()

    def vacuum_into(path):
        source = reading(served.database)
        source.execute("VACUUM INTO ?", [str(path)])
        source.close()

    def back_up(path):
        source, target = served.writing(), sqlite3.connect(path)
        source.backup(target)
        target.close()
        source.close()

    copies, revisions = [], []
    async with served.load():
        for number in range(3):
            await asyncio.sleep(1)
            await served.in_thread(vacuum)
            for name, make in [("into", vacuum_into), ("backup", back_up)]:
                path = served.folder / f"{name}-{number}.db"
                before = served.model.revision
                await served.in_thread(lambda: make(path))
                copies.append((path, before))
    for path, before in copies:
        _, revision = check_file(path)
        assert revision >= before, f"{path.name} has revision {revision}, and a response before the copy had {before}"
        revisions.append(revision)
    print(
        f"3 times VACUUM, VACUUM INTO and backup: {len(copies)} complete copies, with revisions {revisions}", flush=True
    )


async def run(seconds):
    served = Served()
    served.model.servers = dict(served.refreshing.bodies)
    async with served.refreshing, served.monitor:
        await long_reader(served, seconds)
        await edits(served)
        waits = [await lock(served, locked) for locked in LOCKS]
        await maintenance(served)
    served.process.stop()
    check_file(served.database)
    print(
        f"{served.model.acknowledged} operations acknowledged, {served.monitor.polls} lists complete, lost 0, "
        f"expired 0, refreshes {dict(served.refreshing.outcomes)}",
        flush=True,
    )
    for locked, waited in zip(LOCKS, waits):
        assert waited < WAIT, f"a refresh waited {waited:.1f} s for its response under a lock of {locked} s"


def main():
    same_sqlite()
    asyncio.run(run(float(sys.argv[1]) if len(sys.argv) > 1 else 60))
    print("faults/second_writer: passed")


if __name__ == "__main__":
    main()
