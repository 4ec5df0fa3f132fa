"""Clocks that lie and registries that sleep: whoever keeps trying to refresh stays, whoever stopped is gone in time.

    clocks.py [seconds stopped] [lifetimes down]

Five registries at once: stopped by SIGSTOP, with the wall clock an hour forward and an hour back, ended by SIGTERM, and
killed. In each, 200 clients refresh all the time, as far as they can, and 20 stop just before.
"""

import asyncio
import resource
import sys
import time
from datetime import datetime

from client import Client
from herd import Herd, Lookout
from process import Process, under_shim

LIVE, DEAD = 200, 20
TTL = 6
STANDSTILL = 5
SLACK = 2  # seconds after its ttl within which a server is pruned
HOUR = 3_600_000


class Gap:
    """One way not to be awake, or to be wrong about the time."""

    def __init__(self, name, standstill):
        self.name, self.standstill = name, standstill
        self.process = under_shim(f"clocks-{name}")
        self.shim = self.process.shim

    async def happen(self):
        raise NotImplementedError


class Stopped(Gap):
    def __init__(self, seconds):
        super().__init__("stopped", STANDSTILL)
        self.seconds = seconds

    async def happen(self):
        self.process.send("SIGSTOP")
        await asyncio.sleep(self.seconds)
        self.process.send("SIGCONT")


class Stepped(Gap):
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
        assert abs(shown - right) < 1, f"expires_at is {shown - right:+.1f} s off after the wall clock was set"


class Down(Gap):
    def __init__(self, name, seconds, end):
        super().__init__(name, STANDSTILL)
        self.seconds, self.end = seconds, end

    async def happen(self):
        await asyncio.to_thread(self.end, self.process)
        await asyncio.sleep(self.seconds)
        await asyncio.to_thread(self.process.start)


async def run(gap):
    process = gap.process
    await asyncio.to_thread(process.start)
    live, dead = Herd(process.port, "live-", LIVE, TTL), Herd(process.port, "dead-", DEAD, TTL)
    async with live:
        await dead.begin()
        await watch(gap, live, dead, Lookout(process.port, live.ids, dead.ids))
    await asyncio.to_thread(process.stop)


async def watch(gap, live, dead, look):
    async with look:
        await asyncio.sleep(TTL + 1.5)
        await dead.end()
        assert len(look.seen) == DEAD, f"{gap.name}: some were never listed"
        assert not look.gone(), f"{gap.name}: servers are gone before anything happened"
        await dead.refresh_once()
        left = time.monotonic()
        await gap.happen()
        awake = time.monotonic() if gap.standstill else left
        deadline = awake + gap.standstill + TTL + SLACK
        while not (look.polled > awake and look.gone()):
            look.check()
            live.check()
            late = [id for id in dead.ids if look.seen[id] > deadline]
            assert not late, f"{gap.name}: {len(late)} are listed although they stopped refreshing; first {late[0]}"
            assert time.monotonic() < deadline + 10, f"{gap.name}: no list has come that says who is gone"
            await asyncio.sleep(0.02)
        first, last = (extreme(look.seen.values()) - awake for extreme in (min, max))
        # A step before the gap, one for the gap itself, and the time between two polls.
        early = gap.standstill + TTL - 1.5
        assert first > early, f"{gap.name}: one was gone {first:.1f} s after, before ttl and standstill were over"
        await asyncio.sleep(TTL + 1)
        look.check()
        live.check()
    print(f"{gap.name}: {look.polls} lists with all {LIVE} live ones, the dead listed last {first:.1f} to {last:.1f} s "
          f"after; refreshes {dict(live.outcomes)}", flush=True)


async def all_at_once(stopped, down):
    gaps = [Stopped(stopped), Stepped("forward", HOUR), Stepped("back", -HOUR),
            Down("ended", down, Process.stop), Down("killed", down, Process.kill)]
    await asyncio.gather(*(run(gap) for gap in gaps))


def main():
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    stopped = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    down = float(sys.argv[2]) if len(sys.argv) > 2 else 10
    asyncio.run(all_at_once(stopped, down * TTL))
    print("faults/clocks: passed")


if __name__ == "__main__":
    main()
