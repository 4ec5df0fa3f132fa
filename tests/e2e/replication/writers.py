"""Hundreds of writes per second from separate processes, and a record of the responses."""

import asyncio
import itertools
import multiprocessing
import random
import time

from faults.http_client import Client, Unanswered

REFRESHED = 200  # servers that are refreshed
PROCESSES = 2
# Each process has these connections, with rates per second.
SINGLE, SINGLE_RATE = 4, 160  # connections that refresh one server at a time
BATCH, BATCH_RATE = 100, 4  # one connection that refreshes many servers at once
CHANGE_RATE, REGISTERED = 24, 50  # one connection that registers and deregisters, and its number of servers


def body(id, ttl=3600):
    tools = [
        {"name": f"tool_{tool}", "description": "Does something " * 10, "inputSchema": {"type": "object"}}
        for tool in range(10)
    ]
    return {
        "id": id,
        "name": f"server-{id[-1]}",
        "version": "1.0",
        "transport": "stdio",
        "command": ["true"],
        "capabilities": {"tools": tools, "resources": [f"{id}:*"], "prompts": ["p"]},
        "tags": [f"t{id[-1]}"],
        "metadata": {"id": id},
        "ttl": ttl,
    }


def register(port, ids, ttl=3600):
    async def register():
        client = Client(port)
        for id in ids:
            answer = await client.post("/v1/servers", body(id, ttl))
            assert answer.status in (200, 201), f"registering {id}: status {answer.status}: {answer.body[:300]}"
        client.close()

    asyncio.run(register())


def changes():
    """Yields the changes of each process to its numbered servers, in order."""
    for number in itertools.count():
        yield "register", number
        if number >= REGISTERED:
            yield "deregister", number - REGISTERED


class Record:
    """The responses to one process."""

    def __init__(self, name):
        self.name = name
        self.refreshed = 0  # leases
        self.waits = {"PUT …/refresh": [], "POST /v1/refresh": [], "POST /v1/servers": [], "DELETE": []}
        self.changes = []  # for each of `changes`: the times of the request and of the response, if it came
        self.unanswered = None  # why the process ended


class Writer:
    """One writer process."""

    def __init__(self, port, name, stopping):
        self.port, self.stopping = port, stopping
        self.record, self.changes = Record(name), changes()

    async def send(self, client, kind, method, path, body, status):
        begin = time.monotonic()
        answer = await client.request(method, path, body)
        self.record.waits[kind].append(time.monotonic() - begin)
        assert answer.status == status, f"{method} {path}: status {answer.status}: {answer.body[:300]}"
        return answer

    async def refresh_one(self, client):
        path = f"/v1/servers/refreshed-{random.randrange(REFRESHED)}/refresh"
        await self.send(client, "PUT …/refresh", "PUT", path, None, 200)
        self.record.refreshed += 1

    async def refresh_many(self, client):
        ids = [f"refreshed-{number}" for number in random.sample(range(REFRESHED), BATCH)]
        answer = await self.send(client, "POST /v1/refresh", "POST", "/v1/refresh", {"ids": ids}, 200)
        assert len(answer.json()["refreshed"]) == BATCH, f"not all of {BATCH} were refreshed: {answer.body[:300]}"
        self.record.refreshed += BATCH

    async def change(self, client):
        what, number = next(self.changes)
        id, times = f"{self.record.name}-{number}", [time.monotonic(), None]
        self.record.changes.append(times)
        if what == "register":
            await self.send(client, "POST /v1/servers", "POST", "/v1/servers", body(id), 201)
        else:
            await self.send(client, "DELETE", "DELETE", f"/v1/servers/{id}", None, 204)
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
        repeated = [
            *[(self.refresh_one, SINGLE_RATE)] * SINGLE,
            (self.refresh_many, BATCH_RATE),
            (self.change, CHANGE_RATE),
        ]
        await asyncio.gather(*(self.repeat(act, rate) for act, rate in repeated))

    def run(self, pipe):
        try:
            asyncio.run(self.work())
        except Unanswered as error:
            self.record.unanswered = str(error)
        except AssertionError as error:
            pipe.send(error)
            return
        pipe.send(self.record)


class Writers:
    """All writer processes, started on creation."""

    def __init__(self, port, name):
        self.stopping = multiprocessing.Event()
        self.pipes, self.started_at = [], time.monotonic()
        for number in range(PROCESSES):
            pipe, other = multiprocessing.Pipe()
            writer = Writer(port, f"{name}-{number}", self.stopping)
            multiprocessing.Process(target=writer.run, args=[other], daemon=True).start()
            other.close()  # so that the pipe ends with the process
            self.pipes.append(pipe)

    def stop(self, *, lost=False):
        """Stops the writers and returns their records. Unless the registry is lost, every request must have a
        response."""
        self.seconds = time.monotonic() - self.started_at
        self.stopping.set()
        records = [pipe.recv() for pipe in self.pipes]
        for one in records:
            if isinstance(one, AssertionError):
                raise one
            assert lost or one.unanswered is None, f"a write got no response: {one.unanswered}"
        return records

    def check(self):
        """Raises an error of the writers, if there is one so far."""
        if any(pipe.poll() for pipe in self.pipes):
            self.stop()
