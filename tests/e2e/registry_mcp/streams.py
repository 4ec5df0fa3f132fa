"""The streams of a session: they survive silence, and end with the registry."""

import asyncio
import contextlib
import threading
import time

from mcp import Client, MCPError

from registry_mcp.registry import RawClient, start_registry
from registry_mcp.report import SOON
from registry_mcp.servers import LEGACY, READING, SERVERS, WRITING

ENDED = 2.0  # seconds until streams end with the registry


async def wait_for_end(streams, seconds, what):
    """Reads streams to their ends. Returns the seconds until the last one ended, and their contents."""
    started_at, texts = time.monotonic(), {}

    def read(place):
        texts[place] = streams[place].read().decode()

    for place in range(len(streams)):
        # A stream that never ends must not block the end of the test.
        threading.Thread(target=read, args=[place], daemon=True).start()
    while len(texts) < len(streams):
        assert time.monotonic() < started_at + seconds, (
            f"{what}: {len(streams) - len(texts)} streams are open after {seconds} s"
        )
        await asyncio.sleep(0.005)
    return time.monotonic() - started_at, [texts[place] for place in range(len(streams))]


async def shutdown():
    """Streams end with the registry; that of the era of 2026-07-28 ends with a response."""
    registry = start_registry("stop")
    raw = RawClient(registry)
    streams = [RawClient(registry).initialize().stream(), raw.listen()]
    async with Client(f"{registry.url}/mcp") as client, client.listen(resources_list_changed=True) as subscription:
        registry.curl("/v1/servers", body=SERVERS[0])
        assert await asyncio.wait_for(anext(subscription), SOON), "no event was received"
        ending = asyncio.gather(wait_for_end(streams, ENDED, "after SIGTERM"), asyncio.to_thread(registry.stop))
        (took, [_, listened]), _ = await ending
        print(f"SIGTERM: all streams ended {took:.2f} s later")
        assert '"id":7,"result"' in listened, f"subscriptions/listen ended without its response: …{listened[-200:]!r}"
        with contextlib.suppress(StopAsyncIteration):
            await asyncio.wait_for(anext(subscription), 5)
    log = registry.database.with_suffix(".log").read_text()
    assert "ERROR" not in log, f"a clean stop logs an error: {log}"


async def silence(registry, seconds):
    """A session without any message for some time."""
    async with Client(f"{registry.url}/mcp", mode="legacy") as client:
        await client.list_tools()
        await asyncio.sleep(seconds)
        try:
            tools = (await client.list_tools(cache_mode="bypass")).tools
        except MCPError as error:
            raise AssertionError(f"a session has ended after {seconds} s of silence: {error}") from error
        assert len(tools) == len(READING + WRITING), f"after {seconds} s of silence: {tools}"
    print(f"a session of {LEGACY} still works after {seconds:.0f} s of silence")
