"""The disk stalls under a commit: everybody waits and gets an answer, reads go on, and nobody expires for it.

    stall.py [seconds]

The shim lets every write and sync of the database and its WAL wait.
"""

import asyncio
import collections
import sys
import time

from client import Client, Unanswered
from herd import Herd, Lookout
from model import Model, body
from process import check_file, same_sqlite, under_shim

REFRESHING, REGISTERING = 40, 10
TTL = 4
STANDSTILL = 5
PATIENCE = 40  # seconds within which every request has an answer
REQUEST_TIME = 30  # seconds after which the registry says that it cannot answer


class Registering:
    """A caller that registers one server after the other, and times each answer."""

    outcomes = collections.Counter()
    slowest = 0.0

    def __init__(self, name, port, model):
        self.name, self.client, self.model = name, Client(port, PATIENCE), model
        self.stopping = False

    async def work(self):
        number = 0
        while not self.stopping:
            number += 1
            id = f"{self.name}-{number}"
            registration = body(id, 0, 3600)
            self.model.ask(id, registration)
            begin = time.monotonic()
            try:
                answer = await self.client.post("/v1/servers", registration)
            except Unanswered as error:
                raise AssertionError(f"a registration got no answer: {error}") from error
            Registering.slowest = max(Registering.slowest, time.monotonic() - begin)
            self.outcomes[answer.status] += 1
            if answer.status == 201:
                self.model.confirm(id)
            else:
                # It waits in the registry and may yet be done.
                assert (answer.status, answer.code) == (503, "overloaded"), f"{id}: {answer.status} {answer.body[:300]}"
                assert "retry-after" in answer.headers, "503 without Retry-After"
            await asyncio.sleep(0.05)


async def reads(client, seconds):
    """Reads for so long, each soon answered; returns how many."""
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        anew = f"/v1/servers?q=read&limit={1 + count % 1000}"
        for path in ["/healthz", "/v1/servers/quiet/health", "/v1/servers/quiet", anew, "/v1/tools?limit=5",
                     "/v1/stats"]:
            begin = time.monotonic()
            answer = await client.get(path)
            waited = time.monotonic() - begin
            assert answer.status == 200, f"{path} is answered {answer.status} while the disk stalls"
            assert waited < 2, f"{path} waited {waited:.1f} s while the disk stalls"
            count += 1
        await asyncio.sleep(0.1)
    return count


async def left(client):
    """The milliseconds that are left of a lease that nobody refreshes."""
    return (await client.get("/v1/servers/quiet/health")).json()["expires_in_ms"]


async def run(seconds):
    process = under_shim("stall")
    database, shim = process.database, process.shim
    process.start()
    client, model = Client(process.port), Model()
    herd = Herd(process.port, "alive-", REFRESHING, TTL, PATIENCE)
    quiet = body("quiet", 0, 3600)
    await client.post("/v1/servers", quiet)
    model.servers = {**herd.bodies, "quiet": quiet}
    registering = [Registering(f"new{number}", process.port, model) for number in range(REGISTERING)]
    async with herd, Lookout(process.port, herd.ids) as look:
        working = [asyncio.create_task(caller.work()) for caller in registering]
        await asyncio.sleep(TTL)
        before, polls, done = await left(client), look.polls, Registering.outcomes.total()
        shim["stall_ms"] = 1_000_000
        await asyncio.sleep(0.5)
        stalled = Registering.outcomes.total()
        count = await reads(client, seconds - 0.5)
        assert look.polls > polls + 3 * seconds, f"only {look.polls - polls} lists came while the disk stalled"
        refused = Registering.outcomes[503]
        answered = Registering.outcomes.total() - stalled - refused
        assert not answered, f"{answered} registrations were answered while nothing could be written"
        lost = before - await left(client)
        assert lost <= 1_500, f"lease time ran {lost} ms in a stall of {seconds} s"
        assert seconds < REQUEST_TIME or refused, f"nobody was told anything in {seconds} s"
        shim["stall_ms"] = 0
        begin = time.monotonic()
        await asyncio.sleep(STANDSTILL + 2 * TTL)
        assert Registering.outcomes[201] > done, "nothing was registered after the stall"
        for caller in registering:
            caller.stopping = True
        await asyncio.gather(*working)
    assert Registering.slowest < PATIENCE, f"a caller waited {Registering.slowest:.1f} s"
    assert not herd.outcomes["none"], f"{herd.outcomes['none']} refreshes got no answer within {PATIENCE} s"
    await model.settle(client)
    check_file(database)
    process.stop()
    print(f"a stall of {seconds:.0f} s: {count} reads meanwhile, lease time ran {lost} ms, registrations "
          f"{dict(Registering.outcomes)}, the slowest {Registering.slowest:.1f} s, refreshes {dict(herd.outcomes)}, "
          f"{time.monotonic() - begin:.0f} s watched afterwards, lost 0, expired 0")


def main():
    same_sqlite()
    asyncio.run(run(float(sys.argv[1]) if len(sys.argv) > 1 else 10))
    print("faults/stall: passed")


if __name__ == "__main__":
    main()
