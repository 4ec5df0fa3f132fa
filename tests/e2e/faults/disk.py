"""The disk is full: reads go on, leases stand still, and when there is room again all goes on without a restart.

The database lies on a small file system of its own, which takes root to mount. First registrations fill it, small and
large ones at once; then a file does, while there is nothing but heartbeats. A WAL that begins anew has room inside, and
takes small commits even then; a reader beside keeps it from that until nothing fits at all.
"""

import asyncio
import atexit
import collections
import itertools
import os
import random
import subprocess
import time

from client import Client
from herd import Herd, Lookout
from model import Model, body
from process import FAULTS, Process, check_file, fresh_folder, reading, same_sqlite

CALLERS = 32
TTL = 5
SIZE = "16m"
FILLER = 5 << 20
LARGE = 100_000
BACK = 5  # seconds until all goes on


def mount(name):
    """A small file system that is unmounted at the end."""
    assert os.geteuid() == 0, "faults/disk must be root: it mounts a small file system to fill"
    folder = FAULTS / name / "mount"
    if folder.is_mount():
        subprocess.run(["umount", "--lazy", folder], check=True)  # left by a test that was killed
    folder = fresh_folder(name) / "mount"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "paulina-full", folder], check=True)
    atexit.register(subprocess.run, ["umount", "--lazy", folder])
    return folder


def fill(path):
    """Writes until nothing fits any more."""
    with open(path, "ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass


class Filling:
    """Callers that register small and large servers, each under an id of its own, until each was refused."""

    def __init__(self, port, model):
        self.port, self.model = port, model
        self.numbers = itertools.count()
        self.refused = set()
        self.outcomes = collections.Counter()

    async def caller(self, enough):
        client = Client(self.port)
        refusals = 0
        while refusals < enough:
            small = await self.register(client)
            refusals += small == 507
        client.close()

    async def register(self, client):
        number = next(self.numbers)
        large = number % 4 == 0
        id = f"{'large' if large else 'small'}-{number}"
        registration = body(id, 0, 3600, bulk=LARGE if large else 0)
        self.model.ask(id, registration)
        answer = await client.post("/v1/servers", registration)
        self.outcomes[f"{'large' if large else 'small'} {answer.status}"] += 1
        if answer.status == 201:
            self.model.confirm(id)
            shown = answer.json()["id"]
            assert shown == id, f"{id} got the answer of {shown}"
            return None
        assert (answer.status, answer.code) == (507, "storage_full"), f"{id}: {answer.status} {answer.body[:300]}"
        self.model.refuse(id)
        self.refused.add(id)
        return None if large else 507


async def reads_go_on(client, herd):
    """What must work on a full disk; and who asks whether it is ready is told the truth."""
    answer = await client.get("/healthz")
    assert answer.status == 200, f"/healthz says {answer.status} on a full disk"
    id = random.choice(list(herd.ids))
    answer = await client.get(f"/v1/servers/{id}/health")
    assert answer.status == 200, f"the health of {id} is answered {answer.status} on a full disk"
    assert answer.json()["health"] == "healthy", f"{id} is {answer.json()} although leases stand still"
    answer = await client.get(f"/v1/servers/{id}")
    assert answer.status == 200, f"{id} is answered {answer.status} on a full disk"
    return (await client.get("/readyz")).status


async def hold_wal(database, client):
    """Reads beside until no commit fits any more. Returns the reader."""
    reader = reading(database)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM servers").fetchone()
    end, refusals = time.monotonic() + 20, 0
    while refusals < 5:
        assert time.monotonic() < end, "commits find room on a full disk for 20 s"
        status = (await client.get("/readyz")).status
        assert status in (200, 507), f"/readyz says {status} on a full disk"
        refusals = refusals + 1 if status == 507 else 0
    return reader


async def stay(seconds, client, herd, look, filling, full):
    """Goes on while the disk is full, or full for all but small commits. Returns what became of refreshes."""
    before = collections.Counter(herd.outcomes)
    lease = (await client.get(f"/v1/servers/{next(iter(herd.ids))}/health")).json()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ready = await reads_go_on(client, herd)
        assert not full or ready in (503, 507), f"/readyz says {ready} on a full disk"
        if filling:
            await asyncio.gather(*(filling.register(other) for other in filling.clients))
        look.check()
        herd.check()
        await asyncio.sleep(0.2)
    after = (await client.get(f"/v1/servers/{lease['id']}/health")).json()
    stood = after["expires_in_ms"] >= lease["expires_in_ms"] - 600
    assert not full or stood, f"the lease ran on a full disk: {lease}, then {after}"
    outcomes = collections.Counter(herd.outcomes) - before
    assert not full or not outcomes[200], f"refreshes on a full disk: {outcomes}"
    return dict(outcomes)


async def all_goes_on(client, herd):
    """There is room again: everything works, without a restart and soon. Returns after how many seconds."""
    begin = time.monotonic()
    while (await client.get("/readyz")).status != 200:
        assert time.monotonic() < begin + BACK, f"there is room, and the registry takes no writes after {BACK} s"
        await asyncio.sleep(0.02)
    seconds = time.monotonic() - begin
    await herd.refresh_once()
    await asyncio.sleep(BACK + 2 * TTL)
    return seconds


async def full_by_registrations():
    folder = mount("disk")
    fill_file = folder / "filler"
    fill_file.write_bytes(bytes(FILLER))
    process = Process(folder / "paulina.db")
    process.start()
    model, client = Model(), Client(process.port)
    herd = Herd(process.port, "alive-", 40, TTL, timeout=10)
    model.servers = dict(herd.bodies)
    filling = Filling(process.port, model)
    async with herd, Lookout(process.port, herd.ids) as look:
        await asyncio.gather(*(filling.caller(3) for _ in range(CALLERS)))
        fill(folder / "rest")
        await asyncio.gather(*(filling.caller(3) for _ in range(CALLERS)))
        filling.clients = [Client(process.port) for _ in range(8)]
        almost = await stay(2 * TTL, client, herd, look, filling, False)
        reader = await hold_wal(process.database, client)
        beats = await stay(3 * TTL, client, herd, look, filling, True)
        look.always |= model.servers.keys()
        reader.close()
        fill_file.unlink()
        seconds = await all_goes_on(client, herd)
        registered = await client.post("/v1/servers", body("afterwards", 0, 3600))
        assert registered.status == 201, f"registering after the disk was full: {registered.status}"
        model.servers["afterwards"] = body("afterwards", 0, 3600)
    await model.settle(client)
    check_file(process.database)
    process.stop()
    check_file(process.database)
    print(f"full by registrations: {dict(sorted(filling.outcomes.items()))}, refreshes while almost full {almost}, "
          f"while full {beats}, {look.polls} lists complete, writes again after {seconds:.2f} s, lost 0, expired 0",
          flush=True)


async def full_by_a_file():
    folder = mount("disk-file")
    process = Process(folder / "paulina.db")
    process.start()
    client = Client(process.port)
    herd = Herd(process.port, "alive-", 200, TTL, timeout=10)
    async with herd, Lookout(process.port, herd.ids) as look:
        await asyncio.sleep(1)
        fill(folder / "filler")
        reader = await hold_wal(process.database, client)
        fill(folder / "filler")
        beats = await stay(3 * TTL, client, herd, look, None, True)
        reader.close()
        (folder / "filler").unlink()
        seconds = await all_goes_on(client, herd)
    model = Model()
    model.servers = dict(herd.bodies)
    await model.settle(client)
    process.stop()
    check_file(process.database)
    print(f"full by a file: refreshes while full {beats}, {look.polls} lists complete, writes again after "
          f"{seconds:.2f} s, expired 0", flush=True)


def main():
    same_sqlite()
    asyncio.run(full_by_registrations())
    asyncio.run(full_by_a_file())
    print("faults/disk: passed")


if __name__ == "__main__":
    main()
