"""What replication costs: the objects and bytes that are written to the replica for 50 servers that refresh every 15 s.

    litestream_cost.py [seconds of measuring]

Each setting of Litestream has a registry of its own; all are measured at the same time. An object is a file of the
replica, as it would be a PUT to S3. Measure whole half minutes: on each Litestream merges what came in it. What it does more
rarely (every five minutes, every hour: 14 objects an hour) may be in it or not; requests for lists are not.
"""

import asyncio
import atexit
import sys
import time
from collections import Counter
from pathlib import Path

import yaml

from replica import CONFIG, Machine
from writers import register

sys.path.append(str(Path(__file__).resolve().parent / "faults"))
from client import Client  # noqa: E402
from process import fresh_folder  # noqa: E402

SERVERS, TTL = 50, 30
SETTINGS = {  # monitor-interval, how often Litestream looks, and sync-interval, how often it uploads
    "looks and uploads every second": ("1s", "1s"),
    "looks every second, uploads every 15 s": ("1s", "15s"),
    "looks every 15 s, uploads every second": ("15s", "1s"),
}
MONTH = 30 * 24 * 60  # minutes


async def beat(port):
    """Each server at its own time of the 15 s, as servers that were started one by one."""

    async def keep(number):
        client = Client(port)
        await asyncio.sleep(TTL / 2 * number / SERVERS)
        while True:
            answer = await client.put(f"/v1/servers/server-{number}/refresh")
            assert answer.status == 200, f"a refresh was answered {answer.status}: {answer.body[:300]}"
            await asyncio.sleep(TTL / 2)

    await asyncio.gather(*(keep(number) for number in range(SERVERS)))


async def look(machine, seconds):
    """The size of each object that comes into the replica meanwhile, many times a second: some are deleted again."""
    before, seen = machine.sidecar.parts(), {}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seen.update(machine.sidecar.parts())
        await asyncio.sleep(0.2)
    return {path: size for path, size in seen.items() if path not in before}


async def measure(machines, seconds):
    beating = [asyncio.create_task(beat(machine.registry.port)) for machine in machines]
    begun = time.monotonic()
    while time.monotonic() < begun + TTL / 2 + 2 or not all(machine.sidecar.parts() for machine in machines):
        assert time.monotonic() < begun + 40, "not all replicate"
        await asyncio.sleep(0.2)
    seen = await asyncio.gather(*(look(machine, seconds) for machine in machines))
    for task in beating:
        assert not task.done(), f"the servers stopped refreshing: {task.exception()}"
        task.cancel()
    return seen


def configured(folder, looks, uploads):
    """The configuration of this project, with these settings."""
    config = yaml.safe_load(CONFIG.read_text())
    config["dbs"][0]["monitor-interval"] = looks
    config["dbs"][0]["replica"]["sync-interval"] = uploads
    path = folder.with_suffix(".yml")
    path.write_text(yaml.safe_dump(config))
    return path


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 90
    folder = fresh_folder("litestream-cost")
    machines = []
    for number, intervals in enumerate(SETTINGS.values()):
        machine = Machine(folder / str(number), configured(folder / str(number), *intervals))
        machine.registry.start()
        atexit.register(machine.sidecar.end)
        register(machine.registry.port, [f"server-{number}" for number in range(SERVERS)], TTL)
        machine.sidecar.launch()
        machines.append(machine)
    print(f"{SERVERS} servers that refresh every {TTL / 2:.0f} s, measured for {seconds:.0f} s:", flush=True)
    minutes = seconds / 60
    for setting, machine, parts in zip(SETTINGS, machines, asyncio.run(measure(machines, seconds))):
        levels = Counter(path.parent.name for path in parts)
        objects, size = len(parts) / minutes, sum(parts.values()) / minutes
        print(f"  {setting}: {objects:.0f} objects and {size / 1024:.0f} KiB a minute, {objects * MONTH / 1e6:.2f} million "
              f"objects a month ({', '.join(f'{count} of level {level}' for level, count in sorted(levels.items()))})")
    print("litestream_cost: passed")


if __name__ == "__main__":
    main()
