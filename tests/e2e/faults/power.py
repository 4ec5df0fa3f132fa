"""Power loss: acknowledged changes are on disk before their response, and lost refreshes expire no server.

    python -m faults.power [rounds] [seed]

The shim keeps a journal of all writes and syncs. After each `kill -9`, the test creates a folder with everything that
was synced, and of the remaining writes nothing (`synced`), a prefix (`prefix`), or some in any order with torn writes
(`torn`). The registry starts on that folder, and everything is compared to the responses. In every fifth round, only
refreshes happen for longer than a lease: none of them needs a sync. Every seventh round stops cleanly before the power
loss. The test also cuts the power while a new database is created.
"""

import asyncio
import collections
import random
import shutil
import sqlite3
import sys
import time

from faults.database import changes_after, check_file, same_sqlite
from faults.http_client import Client, Unanswered
from faults.model import Caller, Model, body
from faults.process import Process, under_shim
from faults.shim import Disk, same_files

CALLERS = 16
TTL = 5
STANDSTILL = 5
CUTS = ["synced", "prefix", "torn"]
REGISTRATIONS = 50
REFRESHES = 500
MOMENTS = 20  # during the creation of a database: the first, and as many of the others


async def check(process, model, revision):
    """Checks everything after a start. Returns the revision and the epoch of the file."""
    client = Client(process.port)
    answered, model.epochs = model.revision, set()
    await model.settle(client)
    client.close()
    epoch, reached = check_file(process.database)
    assert model.epochs == {epoch}, f"the responses have the epochs {model.epochs}, and the file {epoch}"
    assert answered <= reached, f"a response had revision {answered}, and the file has {reached}"
    recorded, acknowledged = changes_after(process.database, revision), model.take_changes()
    for id in recorded.keys() | acknowledged.keys():
        assert recorded.get(id) == acknowledged.get(id), (
            f"changes of {id}: {recorded.get(id)} instead of {acknowledged.get(id)}"
        )
    return reached, epoch


async def beat(caller):
    """Refreshes the servers of the caller, in one call and one by one, until no response comes."""
    mine = caller.mine()
    try:
        while not caller.stopping:
            await caller.refresh_many(mine)
            for id in mine:
                answer = await caller.client.put(f"/v1/servers/{id}/refresh")
                assert answer.status == 200, f"{id} is refreshed all the time, and a refresh returned {answer.status}"
                caller.model.acknowledged += 1
            await asyncio.sleep(caller.chance.uniform(0.1, TTL / 4))
    except Unanswered:
        pass


async def load(process, callers, work, seconds, clean_stop):
    """Runs load for some seconds, then kills the process under load, or stops load and process cleanly."""
    for caller in callers:
        caller.client, caller.stopping = Client(process.port), False
    working = [asyncio.create_task(work(caller)) for caller in callers]
    await asyncio.sleep(seconds)
    if clean_stop:
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
        assert epoch in (None, now), f"the epoch {epoch} became {now}: a power loss must not begin a new epoch"
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
    """Power loss at any moment during the creation of a database: the next start continues or creates it again."""
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
                log = process.log.read_text().splitlines()[-1]
                last = f"{error}: {log}"
    print(f"{len(CUTS) * len(moments)} cuts in the {lines} steps of creating a database, {len(failed)} failed")
    assert not failed, f"the registry cannot continue after these steps: {', '.join(failed)}; the last error: {last}"


async def journal():
    """The journal accounts for every byte of the files. Otherwise the simulated cuts would prove nothing."""
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
    """Each change is synced before its response, and refreshes need almost no syncs."""
    process = under_shim("power-syncs")
    shim = process.shim
    process.start()
    client = Client(process.port)

    async def synced(what, request, status):
        before = shim["wal_syncs"]
        answer = await request
        after = shim["wal_syncs"]
        assert answer.status == status, f"{what}: status {answer.status}: {answer.body[:300]}"
        assert after > before, f"the response to {what} came before the WAL was synced"

    for number in range(REGISTRATIONS):
        await synced("a registration", client.post("/v1/servers", body(f"s{number}", 0, 60)), 201)
        await synced("a replacement", client.post("/v1/servers", body(f"s{number}", 1, 60)), 200)
    before = shim["wal_syncs"]
    for number in range(REFRESHES):
        answer = await client.put(f"/v1/servers/s{number % REGISTRATIONS}/refresh")
        assert answer.status == 200, f"a refresh: status {answer.status}"
    beats = shim["wal_syncs"] - before
    assert beats <= 5, f"{REFRESHES} refreshes cost {beats} syncs of the WAL"
    for number in range(REGISTRATIONS):
        await synced("a deregistration", client.delete(f"/v1/servers/s{number}"), 204)
    process.stop()
    print(f"{3 * REGISTRATIONS} changes, each synced before its response; {REFRESHES} refreshes, {beats} syncs")


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
