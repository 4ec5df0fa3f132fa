"""Wrong clocks and paused registries: servers that keep refreshing stay registered, and those that stopped expire in
time.

    python -m faults.clocks [seconds paused] [lifetimes down]

Five registries run at once: paused by SIGSTOP, with the wall clock an hour forward and an hour back, stopped by
SIGTERM, and killed. In each, 200 servers refresh all the time, whenever possible, and 20 stop just before the fault.
"""

import asyncio
import resource
import sys
import time
from datetime import datetime

from faults.http_client import Client
from faults.process import Process, under_shim
from faults.refreshing import HealthMonitor, RefreshingServers

LIVE, DEAD = 200, 20
TTL = 6
STANDSTILL = 5
SLACK = 2  # seconds after its ttl within which a server is pruned
HOUR = 3_600_000


class Fault:
    """One way in which the registry does not run, or has the wrong time."""

    def __init__(self, name, standstill):
        self.name, self.standstill = name, standstill
        self.process = under_shim(f"clocks-{name}")
        self.shim = self.process.shim

    async def happen(self):
        raise NotImplementedError


class Paused(Fault):
    def __init__(self, seconds):
        super().__init__("paused", STANDSTILL)
        self.seconds = seconds

    async def happen(self):
        self.process.send("SIGSTOP")
        await asyncio.sleep(self.seconds)
        self.process.send("SIGCONT")


class Stepped(Fault):
    def __init__(self, name, step):
        super().__init__(name, 0)
        self.step = step

    async def happen(self):
        self.shim["wall_offset_ms"] = self.step
        client = Client(self.process.port)
        answer = (await client.put("/v1/servers/live-0/refresh")).json()
        client.close()
        shown = datetime.fromisoformat(answer["expires_at"]).timestamp()
        right = time.time() + self.step / 1000 + TTL
        assert abs(shown - right) < 1, f"expires_at is {shown - right:+.1f} s off after the wall clock was changed"


class Down(Fault):
    def __init__(self, name, seconds, end):
        super().__init__(name, STANDSTILL)
        self.seconds, self.end = seconds, end

    async def happen(self):
        await asyncio.to_thread(self.end, self.process)
        await asyncio.sleep(self.seconds)
        await asyncio.to_thread(self.process.start)


async def run(fault):
    process = fault.process
    await asyncio.to_thread(process.start)
    live, dead = (
        RefreshingServers(process.port, "live-", LIVE, TTL),
        RefreshingServers(process.port, "dead-", DEAD, TTL),
    )
    async with live:
        await dead.begin()
        await watch(fault, live, dead, HealthMonitor(process.port, live.ids, dead.ids))
    await asyncio.to_thread(process.stop)


async def watch(fault, live, dead, monitor):
    async with monitor:
        await asyncio.sleep(TTL + 1.5)
        await dead.end()
        assert len(monitor.seen) == DEAD, f"{fault.name}: some servers were never listed"
        assert not monitor.others_are_gone(), f"{fault.name}: servers were gone before the fault"
        await dead.refresh_once()
        left = time.monotonic()
        await fault.happen()
        awake = time.monotonic() if fault.standstill else left
        deadline = awake + fault.standstill + TTL + SLACK
        while not (monitor.polled > awake and monitor.others_are_gone()):
            monitor.check()
            live.check()
            late = [id for id in dead.ids if monitor.seen[id] > deadline]
            assert not late, (
                f"{fault.name}: {len(late)} servers are listed although they stopped refreshing; first {late[0]}"
            )
            assert time.monotonic() < deadline + 10, f"{fault.name}: no list without the stopped servers was received"
            await asyncio.sleep(0.02)
        first, last = (extreme(monitor.seen.values()) - awake for extreme in (min, max))
        # A tolerance for a step before the fault, for the fault itself, and for the time between two polls.
        early = fault.standstill + TTL - 1.5
        assert first > early, (
            f"{fault.name}: a server was gone after {first:.1f} s, before its ttl and the standstill were over"
        )
        await asyncio.sleep(TTL + 1)
        monitor.check()
        live.check()
    print(
        f"{fault.name}: {monitor.polls} lists with all {LIVE} live servers, the stopped ones last listed {first:.1f} "
        f"to {last:.1f} s "
        f"after; refreshes {dict(live.outcomes)}",
        flush=True,
    )


async def run_all(stopped, down):
    faults = [
        Paused(stopped),
        Stepped("forward", HOUR),
        Stepped("back", -HOUR),
        Down("stopped", down, Process.stop),
        Down("killed", down, Process.kill),
    ]
    await asyncio.gather(*(run(fault) for fault in faults))


def main():
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    stopped = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    down = float(sys.argv[2]) if len(sys.argv) > 2 else 10
    asyncio.run(run_all(stopped, down * TTL))
    print("faults/clocks: passed")


if __name__ == "__main__":
    main()
