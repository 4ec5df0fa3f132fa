"""`kill -9` at random times: everything acknowledged is stored completely, and nothing is stored in part.

    python -m faults.crash [rounds] [seed]

Callers register, replace, deregister, refresh and read while the registry is killed. It starts again on the same file,
sometimes after a kill during its start. Then the whole catalog, the file, and the recorded changes are compared to the
responses.
"""

import asyncio
import random
import sys
import time

from faults.database import changes_after, check_file, same_sqlite
from faults.http_client import Client
from faults.model import Caller, Model
from faults.process import Process, fresh_folder

CALLERS = 32
TTL = 3600
START = 0.1  # seconds that a start takes


async def check(process, model, revision):
    """Checks everything after a start. Returns the revision of the file."""
    client = Client(process.port)
    await model.settle(client)
    client.close()
    epoch, reached = check_file(process.database)
    assert model.epochs == {epoch}, f"the file has epoch {epoch}, the responses {model.epochs}"
    assert model.revision <= reached, f"a response had revision {model.revision}, and the file has {reached}"
    recorded, acknowledged = changes_after(process.database, revision), model.take_changes()
    for id in recorded.keys() | acknowledged.keys():
        assert recorded.get(id) == acknowledged.get(id), (
            f"changes of {id}: {recorded.get(id)} instead of {acknowledged.get(id)}"
        )
    return reached


async def load(process, callers, seconds):
    """Kills the registry under load after some seconds."""
    for caller in callers:
        caller.client = Client(process.port)
    working = [asyncio.create_task(caller.work()) for caller in callers]
    await asyncio.sleep(seconds)
    process.kill()
    await asyncio.gather(*working)


async def run(rounds, seed):
    chance = random.Random(seed)
    process = Process(fresh_folder("crash") / "paulina.db")
    model, revision, unanswered, begin = Model(), 0, 0, time.monotonic()
    callers = [Caller(f"c{number}", None, model, random.Random(f"{seed} {number}"), TTL) for number in range(CALLERS)]
    for _ in range(rounds):
        while chance.random() < 0.2:
            process.killed_while_starting(chance.uniform(0, START))
        process.start()
        revision = await check(process, model, revision)
        await load(process, callers, chance.uniform(0.01, 0.5))
        unanswered += len(model.pending)
    process.start()
    await check(process, model, revision)
    process.stop()
    check_file(process.database)
    seconds = time.monotonic() - begin
    print(
        f"{rounds} rounds in {seconds:.0f} s, {model.acknowledged} operations acknowledged, {unanswered} changes in "
        f"flight when killed, {len(model.servers)} servers, revision {model.revision}, lost 0"
    )


def main():
    same_sqlite()
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    asyncio.run(run(rounds, seed))
    print("faults/crash: passed")


if __name__ == "__main__":
    main()
