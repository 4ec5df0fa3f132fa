"""A full disk: reads continue, leases stop running, and writes resume without a restart when there is space again.

The database is on its own small file system; mounting it needs root. First, small and large registrations fill it;
then, in a second run, a file does while servers only refresh. A WAL that restarts from its beginning has space inside
and accepts small commits even on a full disk. A reader prevents that restart until nothing fits any more.
"""

import asyncio
import atexit
import collections
import itertools
import os
import random
import subprocess
import time

from faults.database import check_file, reading, same_sqlite
from faults.http_client import Client
from faults.model import Model, body
from faults.process import FAULTS, Process, fresh_folder
from faults.refreshing import HealthMonitor, RefreshingServers

CALLERS = 32
TTL = 5
SIZE = "16m"
FILLER = 5 << 20
LARGE = 100_000
RECOVERY = 5  # seconds until everything works again


def mount(name):
    """Mounts a small file system, which is unmounted at the end."""
    assert os.geteuid() == 0, "faults/disk needs root to mount a small file system"
    folder = FAULTS / name / "mount"
    if folder.is_mount():
        subprocess.run(["umount", "--lazy", folder], check=True)  # left behind by a killed test
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
    """Callers that register small and large servers, each with its own id, until each caller was refused."""

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
        self.model.request(id, registration)
        answer = await client.post("/v1/servers", registration)
        self.outcomes[f"{'large' if large else 'small'} {answer.status}"] += 1
        if answer.status == 201:
            self.model.confirm(id)
            shown = answer.json()["id"]
            assert shown == id, f"{id} got the response for {shown}"
            return None
        assert (answer.status, answer.code) == (507, "storage_full"), f"{id}: {answer.status} {answer.body[:300]}"
        self.model.refuse(id)
        self.refused.add(id)
        return None if large else 507


async def check_reads(client, refreshing):
    """Checks the reads that must work on a full disk. Returns the status of /readyz."""
    answer = await client.get("/healthz")
    assert answer.status == 200, f"/healthz returns {answer.status} on a full disk"
    id = random.choice(list(refreshing.ids))
    answer = await client.get(f"/v1/servers/{id}/health")
    assert answer.status == 200, f"the health of {id} returns {answer.status} on a full disk"
    assert answer.json()["health"] == "healthy", f"{id} is {answer.json()} although leases do not run"
    answer = await client.get(f"/v1/servers/{id}")
    assert answer.status == 200, f"{id} returns {answer.status} on a full disk"
    return (await client.get("/readyz")).status


async def hold_wal(database, client):
    """Holds the WAL with a reader until no commit fits any more. Returns the reader."""
    reader = reading(database)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM servers").fetchone()
    end, refusals = time.monotonic() + 20, 0
    while refusals < 5:
        assert time.monotonic() < end, "commits still succeed on a full disk after 20 s"
        status = (await client.get("/readyz")).status
        assert status in (200, 507), f"/readyz returns {status} on a full disk"
        refusals = refusals + 1 if status == 507 else 0
    return reader


async def stay_full(seconds, client, refreshing, monitor, filling, full):
    """Continues while the disk is full, or full except for small commits. Returns the outcomes of the refreshes."""
    before = collections.Counter(refreshing.outcomes)
    lease = (await client.get(f"/v1/servers/{next(iter(refreshing.ids))}/health")).json()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ready = await check_reads(client, refreshing)
        assert not full or ready in (503, 507), f"/readyz returns {ready} on a full disk"
        if filling:
            await asyncio.gather(*(filling.register(other) for other in filling.clients))
        monitor.check()
        refreshing.check()
        await asyncio.sleep(0.2)
    after = (await client.get(f"/v1/servers/{lease['id']}/health")).json()
    stopped = after["expires_in_ms"] >= lease["expires_in_ms"] - 600
    assert not full or stopped, f"the lease ran on a full disk: {lease}, then {after}"
    outcomes = collections.Counter(refreshing.outcomes) - before
    assert not full or not outcomes[200], f"refreshes on a full disk: {outcomes}"
    return dict(outcomes)


async def recover(client, refreshing):
    """There is space again: everything works soon, without a restart. Returns the seconds until then."""
    begin = time.monotonic()
    while (await client.get("/readyz")).status != 200:
        assert time.monotonic() < begin + RECOVERY, (
            f"there is space, and the registry accepts no writes after {RECOVERY} s"
        )
        await asyncio.sleep(0.02)
    seconds = time.monotonic() - begin
    await refreshing.refresh_once()
    await asyncio.sleep(RECOVERY + 2 * TTL)
    return seconds


async def full_by_registrations():
    folder = mount("disk")
    fill_file = folder / "filler"
    fill_file.write_bytes(bytes(FILLER))
    process = Process(folder / "paulina.db")
    process.start()
    model, client = Model(), Client(process.port)
    refreshing = RefreshingServers(process.port, "alive-", 40, TTL, timeout=10)
    model.servers = dict(refreshing.bodies)
    filling = Filling(process.port, model)
    async with refreshing, HealthMonitor(process.port, refreshing.ids) as monitor:
        await asyncio.gather(*(filling.caller(3) for _ in range(CALLERS)))
        fill(folder / "rest")
        await asyncio.gather(*(filling.caller(3) for _ in range(CALLERS)))
        filling.clients = [Client(process.port) for _ in range(8)]
        almost = await stay_full(2 * TTL, client, refreshing, monitor, filling, False)
        reader = await hold_wal(process.database, client)
        beats = await stay_full(3 * TTL, client, refreshing, monitor, filling, True)
        monitor.always |= model.servers.keys()
        reader.close()
        fill_file.unlink()
        seconds = await recover(client, refreshing)
        registered = await client.post("/v1/servers", body("afterwards", 0, 3600))
        assert registered.status == 201, f"a registration after the disk was full: {registered.status}"
        model.servers["afterwards"] = body("afterwards", 0, 3600)
    await model.settle(client)
    check_file(process.database)
    process.stop()
    check_file(process.database)
    print(
        f"full by registrations: {dict(sorted(filling.outcomes.items()))}, refreshes while almost full {almost}, "
        f"while full {beats}, {monitor.polls} lists complete, writes again after {seconds:.2f} s, lost 0, expired 0",
        flush=True,
    )


async def full_by_a_file():
    folder = mount("disk-file")
    process = Process(folder / "paulina.db")
    process.start()
    client = Client(process.port)
    refreshing = RefreshingServers(process.port, "alive-", 200, TTL, timeout=10)
    async with refreshing, HealthMonitor(process.port, refreshing.ids) as monitor:
        await asyncio.sleep(1)
        fill(folder / "filler")
        reader = await hold_wal(process.database, client)
        fill(folder / "filler")
        beats = await stay_full(3 * TTL, client, refreshing, monitor, None, True)
        reader.close()
        (folder / "filler").unlink()
        seconds = await recover(client, refreshing)
    model = Model()
    model.servers = dict(refreshing.bodies)
    await model.settle(client)
    process.stop()
    check_file(process.database)
    print(
        f"full by a file: refreshes while full {beats}, {monitor.polls} lists complete, writes again after "
        f"{seconds:.2f} s, expired 0",
        flush=True,
    )


def main():
    same_sqlite()
    asyncio.run(full_by_registrations())
    asyncio.run(full_by_a_file())
    print("faults/disk: passed")


if __name__ == "__main__":
    main()
