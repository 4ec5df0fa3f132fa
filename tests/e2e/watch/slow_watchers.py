"""Watchers that read slowly or not at all: other clients are served as before, and memory stays bounded."""

import asyncio
import itertools
import time

from faults.database import reading
from faults.http_client import Client
from watch.load_clients import Caller, server, start_process, wait_for_watchers
from watch.stream import BROKEN, Stream, number

SLOW = 50  # slow readers
LARGE, HUGE = 300_000, 2_000_000  # bytes of a large server, and of the server for a single reader
CHANGES, PACE = 40, 0.1  # changes in a measurement, seconds between them
NOT_SLOW = 3  # milliseconds: a p99 up to this passes in any case
MAX_MEMORY = 256  # MiB that slow readers may take


def reads(port, seconds):
    """Returns the milliseconds of each read of another client."""
    caller, end, times = Caller(port), time.monotonic() + seconds, []
    while time.monotonic() < end:
        times += [caller.timed("GET", path) for path in ("/v1/servers/small-1", "/v1/servers?tool=small-2-tool-1")]
        time.sleep(0.002)
    return times


def p99(times):
    return sorted(times)[len(times) * 99 // 100]


class SlowWatchers:
    """A registry with large servers, one watcher that reads at normal speed, and the measurements."""

    def __init__(self, pool):
        self.process, self.pool = start_process("slow", "--write-timeout", "3s"), pool
        self.client, self.marks, self.peak, self.good = Client(self.process.port), itertools.count(), 0, None

    async def sample(self):
        while True:
            self.peak = max(self.peak, self.process.resident_mib())
            await asyncio.sleep(0.02)

    async def change(self):
        """Registers or replaces a large server. Returns the milliseconds until the good watcher has received it."""
        mark = next(self.marks)
        body = server(f"large-{mark % 3}", f"mark {mark}", LARGE // 3000, f"{mark % 10}" * 3000)
        begin = time.perf_counter()
        request = asyncio.create_task(self.client.post("/v1/servers", body))
        item = await anext(self.good)
        took = (time.perf_counter() - begin) * 1000
        assert f'"title":"mark {mark}"'.encode() in item.data, f"the good watcher received {item.data[:300]}"
        assert (await request).status in (200, 201)
        return took

    async def measure(self):
        """Returns the p99 of reads and of the good watcher's events while large servers are registered and replaced."""
        reading = asyncio.wrap_future(self.pool.submit(reads, self.process.port, CHANGES * PACE))
        events = []
        for _ in range(CHANGES):
            begin = time.monotonic()
            events.append(await self.change())
            await asyncio.sleep(max(0, begin + PACE - time.monotonic()))
        return p99(await reading), p99(events)

    async def deregister_all(self):
        for place in range(3):
            assert (await self.client.delete(f"/v1/servers/large-{place}")).status == 204
            await anext(self.good)

    async def read_to_end(self, stream):
        """Returns the last complete event before the registry closed the stream."""
        position = None
        try:
            async with asyncio.timeout(10):
                async for item in stream.items():
                    position = item.id
        except BROKEN as error:
            assert not isinstance(error, TimeoutError), "a slow watcher was not disconnected"
        assert not stream.ended, "the stream of a slow watcher ended cleanly"
        stream.close()
        assert position, "no snapshot was received"
        return position

    async def resume(self, position, rows):
        """Receives all missing changes, each once and in order. Returns their number."""
        stream, reached = await Stream.open(self.process.port, since=position), number(position)
        assert stream.status == 200, f"resuming: status {stream.status}"
        count, last = 0, max(rows)
        async with asyncio.timeout(30):
            async for item in stream.items():
                assert number(item.id) == reached + 1, f"{item.event} {item.id} comes after {reached}"
                reached += 1
                kind, summary = rows[reached]
                assert item.event == kind and item.data.endswith(b'"server":' + summary + b"}"), f"{item.id} is wrong"
                count += 1
                if reached == last:
                    break
        assert reached == last, f"the stream ends at {reached} of {last}"
        stream.close()
        return count

    async def run(self):
        for place in range(20):
            await self.client.post("/v1/servers", server(f"small-{place}"))
        stream = await Stream.open(self.process.port)
        self.good = stream.items()
        await anext(self.good)
        sampling = asyncio.create_task(self.sample())
        self.pool.submit(reads, self.process.port, 0.1).result()
        await self.measure()
        await self.deregister_all()
        before = await self.measure()
        await self.deregister_all()
        memory, self.peak = self.process.resident_mib(), 0
        slow = await asyncio.gather(*(Stream.open(self.process.port, small=True) for _ in range(SLOW)))
        crowded = await self.measure()
        took = await asyncio.to_thread(wait_for_watchers, self.process.port, 1, 10)
        crowded_memory, self.peak = self.peak, 0
        positions = await asyncio.gather(*map(self.read_to_end, slow))
        rows = {
            revision: (kind, (after or before).encode())
            for revision, kind, before, after in reading(self.process.database).execute(
                "SELECT revision, kind, before, after FROM changes"
            )
        }
        counts = await asyncio.gather(*(self.resume(position, rows) for position in positions))
        resumed, self.peak = self.peak, 0
        first = f"{positions[0].partition('-')[0]}-20"
        stuck = await asyncio.gather(*(Stream.open(self.process.port, since=first, small=True) for _ in range(SLOW)))
        await asyncio.sleep(2)
        for each in stuck:
            each.close()
        sampling.cancel()
        print(
            f"slow: {SLOW} that read nothing during changes of {LARGE >> 10} KiB: p99 of reads {before[0]:.1f} ms "
            f"became {crowded[0]:.1f}, of a good watcher's events {before[1]:.1f} ms became {crowded[1]:.1f}; all are "
            f"disconnected {took:.1f} s after the last change; {memory:.0f} MiB became {crowded_memory:.0f}, "
            f"{resumed:.0f} while "
            f"they received the {min(counts)} to {max(counts)} missing changes, and {self.peak:.0f} when they "
            f"resumed from an early revision and read nothing",
            flush=True,
        )
        assert crowded[0] <= max(3 * before[0], NOT_SLOW), "the p99 of reads more than tripled"
        assert crowded[1] <= 3 * before[1], "the p99 of a good watcher's events more than tripled"
        assert crowded_memory - memory <= MAX_MEMORY, f"slow watchers took {crowded_memory - memory:.0f} MiB"
        assert resumed - memory <= MAX_MEMORY, f"watchers that resumed took {resumed - memory:.0f} MiB"
        assert self.peak - memory <= MAX_MEMORY, (
            f"watchers that resumed and read nothing took {self.peak - memory:.0f} MiB"
        )
        stream.close()
        self.client.close()
        await asyncio.to_thread(self.process.stop)


async def one_huge_backlog():
    """A watcher that reads nothing while megabytes are written repeatedly, and that is not yet disconnected."""
    process = start_process("backlog")
    client = Client(process.port)

    async def write(marks):
        for mark in marks:
            body = server("huge", f"mark {mark}", HUGE // 5000, f"{mark % 10}" * 5000)
            assert (await client.post("/v1/servers", body)).status in (200, 201)
        return process.resident_mib()

    before = await write(range(20))
    stream = await Stream.open(process.port, small=True)
    after = await write(range(20, 100))
    print(
        f"slow: one that reads nothing during 80 changes of {HUGE >> 10} KiB: {before:.0f} MiB became {after:.0f}",
        flush=True,
    )
    assert after - before <= MAX_MEMORY, f"one slow watcher took {after - before:.0f} MiB"
    stream.close()
    client.close()
    await asyncio.to_thread(process.stop)
