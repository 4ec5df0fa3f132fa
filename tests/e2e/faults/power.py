"""The power fails: what was acknowledged was on disk before its answer, and nobody expires for lost heartbeats.

    power.py [rounds] [seed]

The shim keeps a journal of all writes and syncs. After each `kill -9` a folder is made that holds what was synced, and
of the rest nothing (`synced`), its beginning (`prefix`), or some of it in any order with torn writes (`torn`). The
registry starts on that, and all is compared with what was answered. In every fifth round nothing but heartbeats happens
for longer than a lease lasts: no sync need have kept any of them. Every seventh round ends in order before the power
fails. New databases lose it while they are made.
"""

import asyncio
import collections
import random
import shutil
import sqlite3
import sys
import time

from client import Client, Unanswered
from model import Caller, Model, body
from process import Process, changes_after, check_file, same_sqlite, under_shim
from shim import Disk, same_files

CALLERS = 16
TTL = 5
STANDSTILL = 5
CUTS = ["synced", "prefix", "torn"]
REGISTRATIONS = 50
REFRESHES = 500
MOMENTS = 20  # while a database is made: the first, and as many of the others


async def check(process, model, revision):
    """Everything after a start; returns how far the file has come, and its epoch."""
    client = Client(process.port)
    answered, model.epochs = model.revision, set()
    await model.settle(client)
    client.close()
    epoch, reached = check_file(process.database)
    assert model.epochs == {epoch}, f"{model.epochs} is answered, the file says {epoch}"
    assert answered <= reached, f"revision {answered} was answered, the file has come to {reached}"
    recorded, told = changes_after(process.database, revision), model.take_changes()
    for id in recorded.keys() | told.keys():
        assert recorded.get(id) == told.get(id), f"changes of {id}: {recorded.get(id)} instead of {told.get(id)}"
    return reached, epoch


async def beat(caller):
    """Refreshes what the caller has, in one call and one by one, until nobody answers."""
    mine = caller.mine()
    try:
        while not caller.stopping:
            await caller.refresh_many(mine)
            for id in mine:
                answer = await caller.client.put(f"/v1/servers/{id}/refresh")
                assert answer.status == 200, f"{id} is refreshed all the time, and a refresh answered {answer.status}"
                caller.model.acknowledged += 1
            await asyncio.sleep(caller.chance.uniform(0.1, TTL / 4))
    except Unanswered:
        pass


async def load(process, callers, work, seconds, in_order):
    """Load for so many seconds, then the end of the process: in the middle of it, or in order after it."""
    for caller in callers:
        caller.client, caller.stopping = Client(process.port), False
    working = [asyncio.create_task(work(caller)) for caller in callers]
    await asyncio.sleep(seconds)
    if in_order:
        for caller in callers:
            caller.stopping = True
        await asyncio.gather(*working)
        process.stop()
    else:
        process.kill()
        await asyncio.gather(*working)


async def rounds(count, seed):
    chance = random.Random(seed)
    process = under_shim("power", power=True)
    database, shim = process.database, process.shim
    folder = database.parents[1]
    base = folder / "base"
    model, revision, epoch = Model(), 0, None
    callers = [Caller(f"c{number}", None, model, random.Random(f"{seed} {number}"), TTL) for number in range(CALLERS)]
    pending, kept, cuts = collections.Counter(), collections.Counter(), collections.Counter()
    begin = time.monotonic()
    for number in range(count):
        how, quiet = CUTS[number % 3], number % 5 == 4
        shutil.rmtree(base, ignore_errors=True)
        process.copy(base)
        process.start()
        revision, now = await check(process, model, revision)
        assert epoch in (None, now), f"the epoch {epoch} became {now}: a power cut is no restore from a backup"
        epoch = now
        if quiet:
            await load(process, callers, beat, STANDSTILL + TTL + 1.5, number % 7 == 6)
        else:
            await load(process, callers, Caller.work, chance.uniform(0.02, 1.2), number % 7 == 6)
        disk = Disk(base, shim.journal)
        waiting, written = disk.cut(how, chance)
        pending[how], kept[how], cuts[how] = pending[how] + waiting, kept[how] + written, cuts[how] + 1
        shutil.rmtree(database.parent)
        disk.write(database.parent)
    process.start()
    await check(process, model, revision)
    process.stop()
    check_file(database)
    seconds = time.monotonic() - begin
    print(f"{count} rounds in {seconds:.0f} s, {model.acknowledged} operations acknowledged, lost 0, expired 0")
    print("; ".join(f"{how}: {cuts[how]} cuts, {kept[how]} of {pending[how]} pending writes kept" for how in CUTS))


def new_databases(seed):
    """The power fails at any moment while a database is made: the next start makes it anew or goes on."""
    chance = random.Random(f"{seed} new")
    making = under_shim("power-new", power=True)
    database, shim = making.database, making.shim
    folder = database.parents[1]
    base = folder / "base"
    base.mkdir()
    making.start()
    making.kill()
    process = Process(database)
    lines = Disk(base, shim.journal).lines
    moments = [*range(MOMENTS), *sorted(chance.sample(range(MOMENTS, lines), MOMENTS))]
    failed = []
    for moment in moments:
        for how in CUTS:
            disk = Disk(base, shim.journal, moment)
            disk.cut(how, chance)
            shutil.rmtree(database.parent)
            disk.write(database.parent)
            try:
                process.start()
                process.curl("/v1/servers", body=body("first", 0, TTL))
                process.stop()
                check_file(database)
            except (AssertionError, sqlite3.Error) as error:
                process.end()
                failed.append(f"{moment} {how}")
                said = process.log.read_text().splitlines()[-1]
                last = f"{error}: {said}"
    print(f"{len(CUTS) * len(moments)} cuts in the {lines} steps that make a database, {len(failed)} failed")
    assert not failed, f"the registry cannot go on after these steps: {', '.join(failed)}; the last time: {last}"


async def journal():
    """The journal explains every byte of the files, or its cuts would prove nothing."""
    process = under_shim("power-journal", power=True)
    database, shim = process.database, process.shim
    folder = database.parents[1]
    process.copy(folder / "base")
    process.start()
    client = Client(process.port)
    for number in range(300):
        id = f"s{number % 100}"
        answer = await client.post("/v1/servers", body(id, number, TTL))
        assert answer.status in (200, 201), f"{id}: {answer.status}"
    await asyncio.sleep(0.1)
    process.kill()
    same_files(database.parent, Disk(folder / "base", shim.journal))


async def syncs():
    """Each change has its sync before its answer, and heartbeats have next to none."""
    process = under_shim("power-syncs")
    shim = process.shim
    process.start()
    client = Client(process.port)

    async def synced(what, asking, status):
        before = shim["wal_syncs"]
        answer = await asking
        after = shim["wal_syncs"]
        assert answer.status == status, f"{what} was answered {answer.status}: {answer.body[:300]}"
        assert after > before, f"{what} was answered before the WAL was synced"

    for number in range(REGISTRATIONS):
        await synced("a registration", client.post("/v1/servers", body(f"s{number}", 0, 60)), 201)
        await synced("a replacement", client.post("/v1/servers", body(f"s{number}", 1, 60)), 200)
    before = shim["wal_syncs"]
    for number in range(REFRESHES):
        answer = await client.put(f"/v1/servers/s{number % REGISTRATIONS}/refresh")
        assert answer.status == 200, f"a refresh was answered {answer.status}"
    beats = shim["wal_syncs"] - before
    assert beats <= 5, f"{REFRESHES} refreshes cost {beats} syncs of the WAL"
    for number in range(REGISTRATIONS):
        await synced("a deregistration", client.delete(f"/v1/servers/s{number}"), 204)
    process.stop()
    print(f"{3 * REGISTRATIONS} changes, each synced before its answer; {REFRESHES} refreshes, {beats} syncs")


def main():
    same_sqlite()
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    asyncio.run(journal())
    asyncio.run(syncs())
    asyncio.run(rounds(count, seed))
    new_databases(seed)
    print("faults/power: passed")


if __name__ == "__main__":
    main()
