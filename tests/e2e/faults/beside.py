"""Somebody works on the file while the registry serves it: reads for long, edits, locks, vacuums, makes backups.

    beside.py [seconds a reader stays]

Callers and heartbeats go on all the time. After each part the callers pause, and the whole catalogue is compared with
what they were told.
"""

import asyncio
import contextlib
import random
import sqlite3
import sys
import time

from client import Client
from herd import Herd, Lookout
from model import Caller, Model, body, listed
from process import Process, check_file, fresh_folder, reading, same_sqlite

CALLERS = 16
PAUSE = 0.2  # seconds between two operations of a caller
HEARTBEATS, TTL = 40, 5
LIMIT = 64 << 20  # the registry cuts its WAL back to this
FOLDED = 4 << 20  # and folds it long before it has grown by so much
SEEN = 2  # seconds until an edit shows
LOCKS = [8, 16]  # seconds
WAIT = 12  # the registry waits 5 s for the lock: for the batch before and for its own


class Patient(Client):
    """Comes again after 503, as told; nothing else is taken for busy."""

    told = 0

    async def request(self, method, path, body=None):
        while True:
            answer = await super().request(method, path, body)
            if answer.status != 503:
                return answer
            Patient.told += 1
            assert answer.code == "overloaded", f"{method} {path}: {answer.body[:300]}"
            await asyncio.sleep(int(answer.headers["retry-after"]))


class Beside:
    """The registry, its callers, and the file."""

    def __init__(self):
        self.folder = fresh_folder("beside")
        self.database = self.folder / "now" / "paulina.db"
        self.database.parent.mkdir()
        self.wal = self.database.with_name("paulina.db-wal")
        self.process = Process(self.database)
        self.process.start()
        port, self.model, chance = self.process.port, Model(), random.Random(0)
        self.client = Client(port)
        self.callers = [Caller(f"c{number}", Patient(port), self.model, random.Random(chance.random()), 3600, PAUSE)
                        for number in range(CALLERS)]
        self.herd = Herd(port, "alive-", HEARTBEATS, TTL, timeout=40)
        self.look = Lookout(port, self.herd.ids)

    @contextlib.asynccontextmanager
    async def load(self):
        """Load as long as this lasts; then all is compared."""
        before = self.model.acknowledged
        for caller in self.callers:
            caller.stopping = False
        working = [asyncio.create_task(caller.work()) for caller in self.callers]
        yield
        for caller in self.callers:
            caller.stopping = True
        await asyncio.gather(*working)
        self.look.check()
        self.herd.check()
        assert self.model.acknowledged > before, "there was no load"
        await self.model.settle(self.client)

    def writing(self):
        """A connection as an operator has it. sqlite3 enforces foreign keys only when it is told to."""
        return sqlite3.connect(self.database, isolation_level=None, timeout=20)

    async def in_thread(self, work):
        """What blocks, without holding up the load."""
        return await asyncio.to_thread(work)


async def long_reader(beside, seconds):
    """A reader holds the WAL back: it grows, and is bounded again when the reader is gone."""
    size = lambda: beside.wal.stat().st_size  # noqa: E731
    async with beside.load():
        reader = reading(beside.database)
        reader.execute("BEGIN")
        count = reader.execute("SELECT count(*) FROM servers").fetchone()
        begun = size()
        await asyncio.sleep(seconds)
        assert reader.execute("SELECT count(*) FROM servers").fetchone() == count, "the reader sees later changes"
        held = size()
        reader.close()
        assert held > begun + FOLDED, f"the WAL grew by {held - begun} bytes only: this proves nothing"
        await asyncio.sleep(5)
        settled = size()
        await asyncio.sleep(seconds / 2)
        after = size()
        assert after <= settled + FOLDED, f"the WAL grows on from {settled} to {after} bytes though nobody reads"
        assert after <= LIMIT + FOLDED, f"the WAL stays at {after} bytes though nobody reads"
    print(f"a reader for {seconds:.0f} s: the WAL grew from {begun >> 10} to {held >> 10} KiB, then {settled >> 10}, "
          f"{after >> 10} KiB", flush=True)


async def edits(beside):
    """What an operator changes shows in every answer that it concerns."""
    model, client, slowest = beside.model, beside.client, 0

    async def shows(what, condition):
        nonlocal slowest
        begin = time.monotonic()
        while not await condition():
            assert time.monotonic() < begin + SEEN, f"{what} does not show within {SEEN} s"
            await asyncio.sleep(0.02)
        slowest = max(slowest, time.monotonic() - begin)

    async def get(id):
        return await client.get(f"/v1/servers/{id}")

    async def found(query):
        return {server["id"]: server for server in (await listed(client, query))[0]}

    async with beside.load():
        writing = beside.writing()
        for number in range(10):
            id = f"edited-{number}"
            registration = model.servers[id] = body(id, 0, 3600)
            assert (await client.post("/v1/servers", registration)).status == 201, f"{id} is not registered"
            # Asked before, so that answers are kept.
            await get(id), await found(f"tag=hand-{number}"), await found("name=name-1"), await client.get("/v1/stats")
            writing.execute("UPDATE servers SET title = 'by hand' WHERE id = ?", [id])
            await shows("an edited title", lambda: is_titled(get(id)))
            writing.execute("INSERT INTO tags SELECT number, ? FROM servers WHERE id = ?", [f"hand-{number}", id])
            await shows("an added tag", lambda: has(found(f"tag=hand-{number}"), id))
            shown = (await found(f"tag=hand-{number}"))[id]
            assert shown["title"] == "by hand", f"a page shows the title {shown['title']}"
            await shows("an added tag, in the totals", lambda: counts(client.get("/v1/stats"), f"hand-{number}"))
            if number % 2:
                tags = sorted([*registration["tags"], f"hand-{number}"])
                model.servers[id] = {**registration, "title": "by hand", "tags": tags}
                continue
            writing.execute("DELETE FROM servers WHERE id = ?", [id])
            del model.servers[id]
            answer = await client.put(f"/v1/servers/{id}/refresh")
            assert answer.status == 404, f"{id} is deleted, and a refresh of it is answered {answer.status}"
            await shows("a deletion, in the record", lambda: is_gone(get(id)))
            await shows("a deletion, in the health", lambda: is_gone(client.get(f"/v1/servers/{id}/health")))
            await shows("a deletion, in lists", lambda: has_not(found("healthy=any&limit=1000"), id))
        writing.close()
    print(f"30 edits beside it, the slowest shown after {slowest:.2f} s", flush=True)


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


async def lock(beside, seconds):
    """The write lock is held: whoever writes gets an answer or is told when to come again, and nobody expires. Returns
    the longest time that a refresh waited for its answer."""
    told, polls = Patient.told, beside.look.polls
    waits, refused = [], 0

    async def ask(client):
        nonlocal refused
        while time.monotonic() < end:
            begin = time.monotonic()
            answer = await client.put(f"/v1/servers/{random.choice(list(beside.herd.ids))}/refresh")
            waits.append(time.monotonic() - begin)
            assert answer.status in (200, 503), f"a refresh under a lock is answered {answer.status}"
            assert answer.status == 503 or time.monotonic() > end, "a refresh was answered 200 under a lock"
            assert answer.status == 200 or "retry-after" in answer.headers, "503 without Retry-After"
            refused += answer.status == 503
            await asyncio.sleep(random.random())

    async with beside.load():
        writing = beside.writing()
        writing.execute("BEGIN IMMEDIATE")
        end = time.monotonic() + seconds
        asyncio.get_running_loop().call_later(seconds, writing.execute, "ROLLBACK")
        await asyncio.gather(*(ask(Client(beside.process.port)) for _ in range(10)))
        await asyncio.sleep(5 + 2 * TTL)
        writing.close()
    assert beside.look.polls > polls + 3 * seconds, "reads did not go on under the lock"
    print(f"the write lock held for {seconds} s: {refused} refreshes and {Patient.told - told} changes were told to "
          f"come again, nobody waited longer than {max(waits):.1f} s, expired 0", flush=True)
    return max(waits)


async def maintenance(beside):
    """VACUUM, VACUUM INTO and the backup API, three times each under load; the copies are whole."""

    def vacuum():
        writing = beside.writing()
        writing.execute("VACUUM")
        writing.close()

    def vacuum_into(path):
        source = reading(beside.database)
        source.execute("VACUUM INTO ?", [str(path)])
        source.close()

    def back_up(path):
        source, target = beside.writing(), sqlite3.connect(path)
        source.backup(target)
        target.close()
        source.close()

    copies, revisions = [], []
    async with beside.load():
        for number in range(3):
            await asyncio.sleep(1)
            await beside.in_thread(vacuum)
            for name, make in [("into", vacuum_into), ("backup", back_up)]:
                path = beside.folder / f"{name}-{number}.db"
                before = beside.model.revision
                await beside.in_thread(lambda: make(path))
                copies.append((path, before))
    for path, before in copies:
        _, revision = check_file(path)
        assert revision >= before, f"{path.name} has come to {revision}, {before} was answered before it was made"
        revisions.append(revision)
    print(f"3 times VACUUM, VACUUM INTO and backup: {len(copies)} whole copies, of revisions {revisions}", flush=True)


async def run(seconds):
    beside = Beside()
    beside.model.servers = dict(beside.herd.bodies)
    async with beside.herd, beside.look:
        await long_reader(beside, seconds)
        await edits(beside)
        waits = [await lock(beside, locked) for locked in LOCKS]
        await maintenance(beside)
    beside.process.stop()
    check_file(beside.database)
    print(f"{beside.model.acknowledged} operations acknowledged, {beside.look.polls} lists complete, lost 0, "
          f"expired 0, refreshes {dict(beside.herd.outcomes)}", flush=True)
    for locked, waited in zip(LOCKS, waits):
        assert waited < WAIT, f"a refresh waited {waited:.1f} s for its answer under a lock of {locked} s"


def main():
    same_sqlite()
    asyncio.run(run(float(sys.argv[1]) if len(sys.argv) > 1 else 60))
    print("faults/beside: passed")


if __name__ == "__main__":
    main()
