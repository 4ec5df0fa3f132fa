"""The cost of replication: the objects and bytes that are written to the replica for 50 servers that refresh every
15 s.

    python -m replication.upload_cost [seconds]

Each setting of Litestream has its own registry; all are measured at the same time. An object is a file of the replica,
which would be a PUT to S3. Measure multiples of 30 s: Litestream compacts every 30 s. Compactions at longer intervals
(every five minutes, every hour: 14 objects an hour) may or may not be included; list requests are not.
"""

import asyncio
import atexit
import sys
import time
from collections import Counter

import yaml

from faults.http_client import Client
from faults.process import fresh_folder
from replication.machine import CONFIG, Machine
from replication.writers import register

SERVERS, TTL = 50, 30
SETTINGS = {  # monitor-interval, at which Litestream checks the WAL, and sync-interval, at which it uploads
    "checks and uploads every second": ("1s", "1s"),
    "checks every second, uploads every 15 s": ("1s", "15s"),
    "checks every 15 s, uploads every second": ("15s", "1s"),
}
MONTH = 30 * 24 * 60  # minutes


async def refresh_all(port):
    """Refreshes the servers at different times within the 15 s, like servers that were started one by one."""

    async def refresh(number):
        client = Client(port)
        await asyncio.sleep(TTL / 2 * number / SERVERS)
        while True:
            answer = await client.put(f"/v1/servers/server-{number}/refresh")
            assert answer.status == 200, f"a refresh: status {answer.status}: {answer.body[:300]}"
            await asyncio.sleep(TTL / 2)

    await asyncio.gather(*(refresh(number) for number in range(SERVERS)))


async def record_uploads(machine, seconds):
    """Returns the size of each new object in the replica. Checks several times a second, because some are deleted
    again."""
    before, seen = machine.sidecar.files(), {}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seen.update(machine.sidecar.files())
        await asyncio.sleep(0.2)
    return {path: size for path, size in seen.items() if path not in before}


async def measure(machines, seconds):
    refreshing = [asyncio.create_task(refresh_all(machine.registry.port)) for machine in machines]
    started_at = time.monotonic()
    while time.monotonic() < started_at + TTL / 2 + 2 or not all(machine.sidecar.files() for machine in machines):
        assert time.monotonic() < started_at + 40, "not all machines replicate"
        await asyncio.sleep(0.2)
    seen = await asyncio.gather(*(record_uploads(machine, seconds) for machine in machines))
    for task in refreshing:
        assert not task.done(), f"the servers stopped refreshing: {task.exception()}"
        task.cancel()
    return seen


def configured(folder, monitor_interval, sync_interval):
    """Writes the configuration of this project with these settings."""
    config = yaml.safe_load(CONFIG.read_text())
    config["dbs"][0]["monitor-interval"] = monitor_interval
    config["dbs"][0]["replica"]["sync-interval"] = sync_interval
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
    for setting, parts in zip(SETTINGS, asyncio.run(measure(machines, seconds))):
        levels = Counter(path.parent.name for path in parts)
        objects, size = len(parts) / minutes, sum(parts.values()) / minutes
        print(
            f"  {setting}: {objects:.0f} objects and {size / 1024:.0f} KiB a minute, {objects * MONTH / 1e6:.2f} "
            "million "
            f"objects a month ({', '.join(f'{count} of level {level}' for level, count in sorted(levels.items()))})"
        )
    print("upload_cost: passed")


if __name__ == "__main__":
    main()
