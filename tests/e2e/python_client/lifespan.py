"""Announcing without an SDK: arguments that can be iterated only once, and signal handlers of other libraries."""

import asyncio
import shutil
import subprocess
import sys
import time

from paulina import announce

from harness import WORK, environment, start_registry

FOLDER = WORK / "python" / "lifespan"
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


def one_shot_iterators(registry):
    """Generators and iterators as arguments, over several heartbeats."""

    async def run():
        lifespan = announce(
            addresses=registry.url,
            id="once",
            command=(word for word in ["mcp", "x"]),
            tools=(name for name in ["one", "two"]),
            tags=map(str.lower, ["A", "B"]),
            environment=iter(["API_KEY"]),
            metadata={"team": "search"},
            ttl=TTL,
        )
        async with lifespan(object()):
            end, found = time.monotonic() + 2 * TTL, None
            while time.monotonic() < end:
                found = await asyncio.to_thread(registry.curl, "/v1/servers/once", fail=False)
                assert found is None or registered_lists(found) == (
                    ["one", "two"],
                    ["a", "b"],
                    ["API_KEY"],
                    ["mcp", "x"],
                ), found
                await asyncio.sleep(0.2)
            assert found, "it is registered"

    def registered_lists(record):
        tools = [tool["name"] for tool in record["capabilities"]["tools"]]
        return tools, record["tags"], [variable["name"] for variable in record["environment"]], record["command"]

    asyncio.run(run())
    assert registry.ids("name=server") == []
    print("announced from generators: complete in every registration")


def chained_handlers(registry):
    """A library replaces our signal handler and calls ours: between two announcements, within the second, and after
    both."""
    for way, times in (("between", 1), ("within", 1), ("after", 2)):
        done = subprocess.run(
            [sys.executable, "-c", CHAINED, way],
            capture_output=True,
            text=True,
            timeout=20,
            env=environment(PAULINA_URL=registry.url),
        )
        expected = ["chained"] * times + ["interrupted"]
        assert done.returncode == 0 and done.stdout.split() == expected, f"{way}: {done}"
    print("SIGINT: interrupts through a chained handler")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    registry = start_registry(FOLDER)
    one_shot_iterators(registry)
    chained_handlers(registry)
    registry.stop()


main()
