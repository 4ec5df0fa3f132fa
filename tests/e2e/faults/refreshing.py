"""Servers that refresh their leases all the time, and a monitor that checks that they are listed as healthy."""

import asyncio
import collections
import random
import time

from faults.http_client import Client, Unanswered
from faults.model import body

RETRY_AFTER = 0.3  # seconds until a failed refresh is repeated
POLL_INTERVAL = 0.1


class BackgroundTasks:
    """Tasks between `begin` and `end`, or within an `async with`. `check` and `end` raise their errors."""

    def __init__(self):
        self.tasks = []

    async def begin(self):
        raise NotImplementedError

    def add(self, work):
        self.tasks.append(asyncio.create_task(work))

    async def end(self):
        for task in self.tasks:
            task.cancel()
        for error in await asyncio.gather(*self.tasks, return_exceptions=True):
            if error is not None and not isinstance(error, asyncio.CancelledError):
                raise error

    async def __aenter__(self):
        await self.begin()
        return self

    async def __aexit__(self, kind, *_):
        try:
            await self.end()
        except Exception:
            if kind is None:
                raise

    def check(self):
        for task in self.tasks:
            if task.done():
                task.result()


class RefreshingServers(BackgroundTasks):
    """Servers that refresh at half their ttl, retry soon after a failure, and never register again."""

    def __init__(self, port, prefix, count, ttl, timeout=1):
        super().__init__()
        self.port, self.ttl, self.timeout = port, ttl, timeout
        self.bodies = {f"{prefix}{number}": body(f"{prefix}{number}", 0, ttl) for number in range(count)}
        self.outcomes = collections.Counter()

    @property
    def ids(self):
        return self.bodies.keys()

    async def begin(self):
        client = Client(self.port)
        for id, registration in self.bodies.items():
            answer = await client.post("/v1/servers", registration)
            assert answer.status == 201, f"registering {id}: status {answer.status}: {answer.body[:300]}"
            self.add(self.keep(id))
        client.close()

    async def keep(self, id):
        client = Client(self.port, self.timeout)
        await asyncio.sleep(random.uniform(0, self.ttl / 2))
        while True:
            await asyncio.sleep(self.ttl / 2 if await self.refresh(client, id) else RETRY_AFTER)

    async def refresh(self, client, id):
        try:
            answer = await client.put(f"/v1/servers/{id}/refresh")
        except Unanswered:
            self.outcomes["none"] += 1
            return False
        self.outcomes[answer.status] += 1
        assert answer.status in (200, 503, 507), f"refreshing {id}: status {answer.status}: {answer.body[:300]}"
        return answer.status == 200

    async def refresh_once(self):
        client = Client(self.port, 10)
        for id in self.bodies:
            assert await self.refresh(client, id), f"{id} was not refreshed"
        client.close()


class HealthMonitor(BackgroundTasks):
    """Lists the healthy servers ten times a second. The servers in `always` must be in every list. For those in
    `others`, it records when they were last listed."""

    def __init__(self, port, always, others=()):
        super().__init__()
        self.port, self.always, self.others = port, set(always), set(others)
        self.polls = 0
        self.seen = {}  # id in `others`: the time of the request of the last list that contains it
        self.polled = 0.0  # the time of the request of the last complete list

    async def begin(self):
        self.add(self.monitor())

    async def monitor(self):
        client = Client(self.port, 2)
        while True:
            begin = time.monotonic()
            try:
                await self.poll(client, begin)
            except Unanswered:
                pass
            await asyncio.sleep(max(0, begin + POLL_INTERVAL - time.monotonic()))

    async def poll(self, client, begin):
        listed, cursor = set(), ""
        while cursor is not None:
            answer = await client.get(f"/v1/servers?healthy=true&limit=1000{cursor}")
            if answer.status == 503:
                return
            assert answer.status == 200, f"listing: status {answer.status}: {answer.body[:300]}"
            page = answer.json()
            listed |= {server["id"] for server in page["servers"]}
            cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
        self.polls, self.polled = self.polls + 1, begin
        missing = self.always - listed
        assert not missing, (
            f"{len(missing)} servers that refresh all the time are not listed as healthy: {sorted(missing)[:5]}"
        )
        for id in self.others & listed:
            self.seen[id] = begin

    def others_are_gone(self):
        """Whether the last list contains none of `others`."""
        return all(seen < self.polled for seen in self.seen.values())
