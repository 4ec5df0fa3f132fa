"""Writers by the hundred a second, in processes of their own, and what they were told."""

import asyncio
import itertools
import multiprocessing
import random
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent / "faults"))
from client import Client, Unanswered  # noqa: E402

BEATING = 200  # servers that are refreshed
PROCESSES = 2
SINGLE, SINGLES = 4, 160  # connections of each that refresh one server at a time, and how often each does in a second
MANY, MANIES = 100, 4  # one more refreshes so many at once, so often
CHANGES, KEPT = 24, 50  # and one registers or takes out, so often; so many of its servers are there at a time


def body(id, ttl=3600):
    tools = [{"name": f"tool_{tool}", "description": "Does something " * 10, "inputSchema": {"type": "object"}}
             for tool in range(10)]
    return {"id": id, "name": f"server-{id[-1]}", "version": "1.0", "transport": "stdio", "command": ["true"],
            "capabilities": {"tools": tools, "resources": [f"{id}:*"], "prompts": ["p"]},
            "tags": [f"t{id[-1]}"], "metadata": {"id": id}, "ttl": ttl}


def register(port, ids, ttl=3600):
    async def register():
        client = Client(port)
        for id in ids:
            answer = await client.post("/v1/servers", body(id, ttl))
            assert answer.status in (200, 201), f"registering {id} was answered {answer.status}: {answer.body[:300]}"
        client.close()

    asyncio.run(register())


def changes():
    """What each process does with its numbered servers, in order."""
    for number in itertools.count():
        yield "register", number
        if number >= KEPT:
            yield "deregister", number - KEPT


class Told:
    """What one process was told."""

    def __init__(self, name):
        self.name = name
        self.refreshed = 0  # leases
        self.waits = {"PUT …/refresh": [], "POST /v1/refresh": [], "POST /v1/servers": [], "DELETE": []}
        self.changes = []  # for each of `changes`: when it was asked for, and when it was answered if it was
        self.unanswered = None  # why it ended


class Writer:
    """One process."""

    def __init__(self, port, name, stopping):
        self.port, self.stopping = port, stopping
        self.told, self.changes = Told(name), changes()

    async def ask(self, client, kind, method, path, body, status):
        begin = time.monotonic()
        answer = await client.request(method, path, body)
        self.told.waits[kind].append(time.monotonic() - begin)
        assert answer.status == status, f"{method} {path} was answered {answer.status}: {answer.body[:300]}"
        return answer

    async def refresh_one(self, client):
        path = f"/v1/servers/beating-{random.randrange(BEATING)}/refresh"
        await self.ask(client, "PUT …/refresh", "PUT", path, None, 200)
        self.told.refreshed += 1

    async def refresh_many(self, client):
        ids = [f"beating-{number}" for number in random.sample(range(BEATING), MANY)]
        answer = await self.ask(client, "POST /v1/refresh", "POST", "/v1/refresh", {"ids": ids}, 200)
        assert len(answer.json()["refreshed"]) == MANY, f"not all of {MANY} were refreshed: {answer.body[:300]}"
        self.told.refreshed += MANY

    async def change(self, client):
        what, number = next(self.changes)
        id, times = f"{self.told.name}-{number}", [time.monotonic(), None]
        self.told.changes.append(times)
        if what == "register":
            await self.ask(client, "POST /v1/servers", "POST", "/v1/servers", body(id), 201)
        else:
            await self.ask(client, "DELETE", "DELETE", f"/v1/servers/{id}", None, 204)
        times[1] = time.monotonic()

    async def repeat(self, act, rate):
        client = Client(self.port)
        due = time.monotonic() + random.random() / rate
        while not self.stopping.is_set():
            await asyncio.sleep(max(0, due - time.monotonic()))
            due = max(due + 1 / rate, time.monotonic())
            await act(client)
        client.close()

    async def work(self):
        repeated = [*[(self.refresh_one, SINGLES)] * SINGLE, (self.refresh_many, MANIES), (self.change, CHANGES)]
        await asyncio.gather(*(self.repeat(act, rate) for act, rate in repeated))

    def run(self, pipe):
        try:
            asyncio.run(self.work())
        except Unanswered as error:
            self.told.unanswered = str(error)
        except AssertionError as error:
            pipe.send(error)
            return
        pipe.send(self.told)


class Writers:
    """All of them, from now on."""

    def __init__(self, port, name):
        self.stopping = multiprocessing.Event()
        self.pipes, self.begun = [], time.monotonic()
        for number in range(PROCESSES):
            pipe, other = multiprocessing.Pipe()
            writer = Writer(port, f"{name}-{number}", self.stopping)
            multiprocessing.Process(target=writer.run, args=[other], daemon=True).start()
            other.close()  # so that the end of the process is the end of the pipe
            self.pipes.append(pipe)

    def stop(self, *, lost=False):
        """What each was told; unless the registry is lost, all was answered."""
        self.seconds = time.monotonic() - self.begun
        self.stopping.set()
        told = [pipe.recv() for pipe in self.pipes]
        for one in told:
            if isinstance(one, AssertionError):
                raise one
            assert lost or one.unanswered is None, f"a write was not answered: {one.unanswered}"
        return told

    def check(self):
        """Raises what went wrong so far, if anything did."""
        if any(pipe.poll() for pipe in self.pipes):
            self.stop()
