"""The disk stalls during a commit: writers wait and get a response, reads continue, and no server expires.

    python -m faults.stall [seconds]

The shim delays every write and sync of the database and its WAL.
"""

import asyncio
import collections
import sys
import time

from faults.database import check_file, same_sqlite
from faults.http_client import Client, Unanswered
from faults.model import Model, body
from faults.process import under_shim
from faults.refreshing import HealthMonitor, RefreshingServers

REFRESHING, REGISTERING = 40, 10
TTL = 4
STANDSTILL = 5
PATIENCE = 40  # seconds within which every request has a response
REQUEST_TIME = 30  # seconds after which the registry responds that it is overloaded


class Registering:
    """A caller that registers one server after the other, and measures each response time."""

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
            self.model.request(id, registration)
            begin = time.monotonic()
            try:
                answer = await self.client.post("/v1/servers", registration)
            except Unanswered as error:
                raise AssertionError(f"a registration got no response: {error}") from error
            Registering.slowest = max(Registering.slowest, time.monotonic() - begin)
            self.outcomes[answer.status] += 1
            if answer.status == 201:
                self.model.confirm(id)
            else:
                # The request waits in the registry and may still be executed.
                assert (answer.status, answer.code) == (503, "overloaded"), f"{id}: {answer.status} {answer.body[:300]}"
                assert "retry-after" in answer.headers, "503 without Retry-After"
            await asyncio.sleep(0.05)


async def reads(client, seconds):
    """Reads for some seconds. Each response must come soon. Returns the number of reads."""
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        uncached = f"/v1/servers?q=read&limit={1 + count % 1000}"
        for path in [
            "/healthz",
            "/v1/servers/quiet/health",
            "/v1/servers/quiet",
            uncached,
            "/v1/tools?limit=5",
            "/v1/stats",
        ]:
            begin = time.monotonic()
            answer = await client.get(path)
            waited = time.monotonic() - begin
            assert answer.status == 200, f"{path}: status {answer.status} while the disk stalls"
            assert waited < 2, f"{path} took {waited:.1f} s while the disk stalls"
            count += 1
        await asyncio.sleep(0.1)
    return count


async def remaining_ms(client):
    """Returns the milliseconds that remain of a lease that no client refreshes."""
    return (await client.get("/v1/servers/quiet/health")).json()["expires_in_ms"]


async def run(seconds):
    process = under_shim("stall")
    database, shim = process.database, process.shim
    process.start()
    client, model = Client(process.port), Model()
    refreshing = RefreshingServers(process.port, "alive-", REFRESHING, TTL, PATIENCE)
    quiet = body("quiet", 0, 3600)
    await client.post("/v1/servers", quiet)
    model.servers = {**refreshing.bodies, "quiet": quiet}
    registering = [Registering(f"new{number}", process.port, model) for number in range(REGISTERING)]
    async with refreshing, HealthMonitor(process.port, refreshing.ids) as monitor:
        working = [asyncio.create_task(caller.work()) for caller in registering]
        await asyncio.sleep(TTL)
        before, polls, done = await remaining_ms(client), monitor.polls, Registering.outcomes.total()
        shim["stall_ms"] = 1_000_000
        await asyncio.sleep(0.5)
        stalled = Registering.outcomes.total()
        count = await reads(client, seconds - 0.5)
        assert monitor.polls > polls + 3 * seconds, (
            f"only {monitor.polls - polls} lists were received while the disk stalled"
        )
        refused = Registering.outcomes[503]
        answered = Registering.outcomes.total() - stalled - refused
        assert not answered, f"{answered} registrations got a response while nothing could be written"
        lost = before - await remaining_ms(client)
        assert lost <= 1_500, f"lease time ran {lost} ms in a stall of {seconds} s"
        assert seconds < REQUEST_TIME or refused, f"no caller got a response in {seconds} s"
        shim["stall_ms"] = 0
        begin = time.monotonic()
        await asyncio.sleep(STANDSTILL + 2 * TTL)
        assert Registering.outcomes[201] > done, "nothing was registered after the stall"
        for caller in registering:
            caller.stopping = True
        await asyncio.gather(*working)
    assert Registering.slowest < PATIENCE, f"a caller waited {Registering.slowest:.1f} s"
    assert not refreshing.outcomes["none"], (
        f"{refreshing.outcomes['none']} refreshes got no response within {PATIENCE} s"
    )
    await model.settle(client)
    check_file(database)
    process.stop()
    print(
        f"a stall of {seconds:.0f} s: {count} reads during the stall, lease time ran {lost} ms, registrations "
        f"{dict(Registering.outcomes)}, the slowest {Registering.slowest:.1f} s, refreshes "
        f"{dict(refreshing.outcomes)}, "
        f"{time.monotonic() - begin:.0f} s observed afterwards, lost 0, expired 0"
    )


def main():
    same_sqlite()
    asyncio.run(run(float(sys.argv[1]) if len(sys.argv) > 1 else 10))
    print("faults/stall: passed")


if __name__ == "__main__":
    main()
