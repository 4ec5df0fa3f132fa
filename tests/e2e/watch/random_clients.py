"""Watchers and writers that act at random."""

import asyncio
import contextlib

from faults.http_client import Client, Unanswered
from watch.changes import Connection
from watch.registrations import registration
from watch.stream import BROKEN, Stream


class Watcher:
    """Watches, disconnects now and then, and resumes after each disconnect. A slow one pauses between events."""

    def __init__(self, scenario, filters, chance, slow):
        self.scenario, self.filters, self.chance, self.slow = scenario, filters, chance, slow
        self.connections, self.position = [], None

    async def work(self):
        while True:
            run = self.scenario.runs[-1]
            with contextlib.suppress(*BROKEN):
                stream = await Stream.open(
                    self.scenario.process.port,
                    self.filters,
                    since=self.position,
                    by_query=self.chance.random() < 0.3,
                    small=self.slow,
                )
                try:
                    await self.follow(run, stream)
                finally:
                    stream.close()
            pause = self.chance.uniform(2, 5) if self.chance.random() < 0.1 else self.chance.uniform(0, 0.2)
            await asyncio.sleep(pause)

    async def follow(self, run, stream):
        assert stream.status in (200, 503), f"{self.filters}: status {stream.status}"
        if stream.status != 200 or run is not self.scenario.runs[-1]:
            return
        connection = Connection(self.position, run, [])
        self.connections.append(connection)
        async with asyncio.timeout(self.chance.expovariate(1 / 4)):
            async for item in stream.items():
                connection.items.append(item)
                self.position = item.id
                if self.slow and self.chance.random() < 0.01:
                    await asyncio.sleep(self.chance.uniform(0, 2))


class Writer:
    """Makes one change after the other, and records what was acknowledged."""

    def __init__(self, scenario, name, chance, pause):
        self.scenario, self.name, self.chance, self.pause = scenario, name, chance, pause
        self.client, self.bodies, self.count, self.acknowledged = Client(scenario.process.port), {}, 0, []

    async def work(self):
        while True:
            operation = self.chance.choice(
                [self.register, self.replace, self.replace, self.repeat, self.deregister, self.refresh]
                if self.bodies
                else [self.register]
            )
            with contextlib.suppress(Unanswered):
                await operation()
            await asyncio.sleep(self.chance.expovariate(1 / self.pause))

    async def ask(self, method, path, body=None, *, expected):
        """Returns the response if its status is expected. Treats 503, which a stopping registry sends, as no
        response."""
        answer = await self.client.request(method, path, body)
        if answer.status == 503:
            raise Unanswered(answer.code)
        assert answer.status in expected, f"{method} {path}: status {answer.status}: {answer.body[:300]}"
        return answer

    def any(self):
        return self.chance.choice(list(self.bodies))

    async def put(self, id, ttl=3600):
        self.count += 1
        era, body = self.scenario.runs[-1].era, registration(id, f"{id}.{self.count}", self.chance, ttl)
        self.bodies[id] = body
        await self.ask("POST", "/v1/servers", body, expected=(200, 201))
        self.acknowledged.append((era, id, body["title"]))

    async def register(self):
        if len(self.bodies) >= 15:
            return await self.deregister()
        await self.put(f"{self.name}-{self.count}")

    async def replace(self):
        await self.put(self.any())

    async def repeat(self):
        await self.ask("POST", "/v1/servers", self.bodies[self.any()], expected=(200, 201))

    async def deregister(self):
        era, id = self.scenario.runs[-1].era, self.any()
        answer = await self.ask("DELETE", f"/v1/servers/{id}", expected=(204, 404))
        del self.bodies[id]
        if answer.status == 204:
            self.acknowledged.append((era, id, None))

    async def refresh(self):
        await self.ask("PUT", f"/v1/servers/{self.any()}/refresh", expected=(200, 404))


class ExpiringWriter(Writer):
    """Registers servers that soon expire. Some are then revived, replaced or deregistered before they are deleted."""

    async def work(self):
        while True:
            with contextlib.suppress(Unanswered):
                await self.put(f"{self.name}-{self.count}", self.chance.randrange(1, 3))
                found = await self.ask("GET", "/v1/servers?healthy=false&limit=1000", expected=(200,))
                mine = [server["id"] for server in found.json()["servers"] if server["id"] in self.bodies]
                for id in self.chance.sample(mine, min(len(mine), 2)):
                    await self.chance.choice([self.revive, self.replace_one, self.deregister_one])(id)
            await asyncio.sleep(self.pause)

    async def revive(self, id):
        await self.ask("PUT", f"/v1/servers/{id}/refresh", expected=(200, 404))

    async def replace_one(self, id):
        await self.put(id, self.chance.randrange(1, 3))

    async def deregister_one(self, id):
        await self.ask("DELETE", f"/v1/servers/{id}", expected=(204, 404))


class Burst(Writer):
    """Registers so many servers at once that the changes exceed the buffer of a watcher."""

    async def work(self):
        servers = [Writer(self.scenario, f"{self.name}-{number}", self.chance, 0) for number in range(400)]

        async def one(writer):
            with contextlib.suppress(Unanswered):
                await writer.register()
                await writer.deregister()
            writer.client.close()
            self.acknowledged += writer.acknowledged

        await asyncio.gather(*map(one, servers))
