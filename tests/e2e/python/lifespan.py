"""Announcing without any SDK: what is given can be read once alone, and handlers of signals that others have set."""

import asyncio
import shutil
import subprocess
import sys
import time

from helper import WORK, environment, started
from paulina import announce

FOLDER = WORK / "lifespan"
TTL = 2
CHAINED = """
import asyncio, os, signal, sys, time
from paulina import announce

def chain():
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, lambda number, frame: (print("chained", flush=True), before(number, frame)))

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)

async def announced(then):
    async with announce(id="chained", url="http://127.0.0.1:1/mcp", tools=["one"])(object()):
        then()

loop = asyncio.new_event_loop()
loop.run_until_complete(announced(chain))
try:
    if sys.argv[1] == "between":
        interrupt()
    loop.run_until_complete(announced(interrupt if sys.argv[1] == "within" else chain))
    interrupt()
except KeyboardInterrupt:
    print("interrupted")
"""


def once_alone(registry):
    """Generators and the like, over several heartbeats."""
    async def run():
        lifespan = announce(
            addresses=registry.url, id="once", command=(word for word in ["mcp", "x"]),
            tools=(name for name in ["one", "two"]), tags=map(str.lower, ["A", "B"]), environment=iter(["API_KEY"]), metadata={"team": "search"}, ttl=TTL)
        async with lifespan(object()):
            end, found = time.monotonic() + 2 * TTL, None
            while time.monotonic() < end:
                found = await asyncio.to_thread(registry.curl, "/v1/servers/once", fail=False)
                assert found is None or told(found) == (["one", "two"], ["a", "b"], ["API_KEY"], ["mcp", "x"]), found
                await asyncio.sleep(0.2)
            assert found, "it is registered"

    def told(record):
        tools = [tool["name"] for tool in record["capabilities"]["tools"]]
        return tools, record["tags"], [it["name"] for it in record["environment"]], record["command"]

    asyncio.run(run())
    assert registry.ids("name=server") == []
    print("announced from generators: all of it, again and again")


def chained(registry):
    """A library that has set its handler over ours calls ours: between two announcements, within the second, after both."""
    for way, times in (("between", 1), ("within", 1), ("after", 2)):
        done = subprocess.run([sys.executable, "-c", CHAINED, way], capture_output=True, text=True, timeout=20,
                              env=environment(PAULINA_URL=registry.url))
        expected = ["chained"] * times + ["interrupted"]
        assert done.returncode == 0 and done.stdout.split() == expected, f"{way}: {done}"
    print("SIGINT: interrupts by way of a handler that somebody has set over ours")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    registry = started(FOLDER)
    once_alone(registry)
    chained(registry)
    registry.stop()


main()
