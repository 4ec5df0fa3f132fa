"""A model of the registry: the acknowledged changes, compared to what the registry returns.

Each caller has its own ids and makes one request at a time. For each id, the model therefore knows the last
acknowledged change, and at most one change without a response: after a crash, the registry must show exactly one of the
two states.
"""

import asyncio
import random

from faults.http_client import Unanswered, listed

TIMES = ("health", "registered_at", "updated_at", "refreshed_at", "expires_at")
WORDS = "read write list find move copy send fetch parse build check merge".split()
MAX_SERVERS = 12  # for each caller
OPERATIONS = ["register", "replace", "repeat", "deregister", "refresh", "refresh_many", "read", "page"]


def body(id, version, ttl, bulk=0):
    """Returns a registration that differs from every other one in each of its parts."""
    chance = random.Random(f"{id} {version}")
    mark = f"{id}.{version}"
    tools = [
        {
            "name": f"{chance.choice(WORDS)}_{number}",
            "description": f"of {mark}",
            "inputSchema": {"type": "object", "title": mark, "n": number, "x": "x" * bulk},
        }
        for number in range(chance.randrange(1, 7))
    ]
    resources = [{"uri": f"doc://{mark}/{number}", "name": mark} for number in range(chance.randrange(4))]
    transport = {"transport": "stdio", "command": ["run", mark]}
    if chance.random() < 0.5:
        transport = {"transport": "streamable-http", "url": f"http://127.0.0.1/{mark}"}
    return {
        "id": id,
        "name": f"name-{chance.randrange(5)}",
        "title": mark,
        "version": f"1.0.{version}",
        "description": f"at {mark}",
        **transport,
        "capabilities": {"tools": tools, "resources": resources, "prompts": [{"name": mark}], "logging": True},
        "tags": sorted({mark, *chance.sample(WORDS, 2)}),
        "metadata": {"mark": mark},
        "ttl": ttl,
    }


def record(body):
    """Returns what the registry returns for a registration, except times and health."""
    empty = {"command": None, "url": None, "environment": [], "headers": [], "owner": None}
    return {**empty, **body}


def without_times(server):
    return {key: value for key, value in server.items() if key not in TIMES}


class Model:
    def __init__(self):
        self.servers = {}  # id: the last acknowledged registration
        self.pending = {}  # id: the requested registration that has no response yet, or None for a deregistration
        self.changes = {}  # id: the changes acknowledged since `settled`
        self.acknowledged = 0
        self.revision = 0  # the highest in any response
        self.epochs = set()

    def request(self, id, after):
        self.pending[id] = after

    def refuse(self, id):
        """Records that the request was not executed."""
        del self.pending[id]

    def confirm(self, id):
        """Records that the pending request was executed."""
        before, after = self.servers.get(id), self.pending.pop(id)
        if after is None:
            del self.servers[id]
        else:
            self.servers[id] = after
        if before != after:
            kind = "deregistered" if after is None else "updated" if before else "registered"
            self.changes.setdefault(id, []).append((kind, after and after["title"]))

    def saw(self, revision):
        epoch, _, number = revision.partition("-")
        self.epochs.add(epoch)
        self.revision = max(self.revision, int(number))

    async def settle(self, client, healthy=True):
        """Compares the whole catalog to the acknowledged changes, and resolves pending requests."""
        answered = self.revision
        shown, revision = await listed(client, "view=full&healthy=any&limit=100")
        self.saw(revision)
        found = {server["id"]: without_times(server) for server in shown}
        assert len(found) == len(shown), "a server is listed twice"
        for id, after in list(self.pending.items()):
            if found.get(id) == (after and record(after)) and self.servers.get(id) != after:
                self.confirm(id)
            else:
                self.refuse(id)
        for id, server in self.servers.items():
            assert id in found, f"{id} was acknowledged and was lost"
            assert found[id] == record(server), (
                f"{id} differs from what was sent: {found[id]} instead of {record(server)}"
            )
        unexpected = found.keys() - self.servers.keys()
        assert not unexpected, f"these were never registered, or were deregistered: {sorted(unexpected)[:5]}"
        assert int(revision.partition("-")[2]) >= answered, f"revision {revision} comes after {answered}"
        if healthy:
            alive, _ = await listed(client, "healthy=true&limit=1000")
            dead = self.servers.keys() - {server["id"] for server in alive}
            assert not dead, f"these are unhealthy before their lease has expired: {sorted(dead)[:5]}"
        await self.probe(client)

    async def probe(self, client):
        """Makes queries that use the indexes, the full-text search and the totals."""
        totals = (await client.get("/v1/stats")).json()["servers"]["total"]
        assert totals == len(self.servers), f"/v1/stats counts {totals} of {len(self.servers)} servers"
        for word in random.sample(WORDS, 2):
            for query, has in [
                (f"tag={word}", lambda server: word in server["tags"]),
                (f"tool={word}_0", lambda server: server["capabilities"]["tools"][0]["name"] == f"{word}_0"),
                (f"q={word}&match=all", lambda server: word in str(server["tags"]) + str(server["capabilities"])),
            ]:
                shown, _ = await listed(client, f"{query}&healthy=any&limit=1000")
                found = {server["id"] for server in shown}
                expected = {id for id, server in self.servers.items() if has(server)}
                assert found == expected, f"{query} finds {len(found)} servers instead of {len(expected)}"

    def take_changes(self):
        changes, self.changes = self.changes, {}
        return changes


class Caller:
    """Makes one request after the other and checks each response, until none comes or it must stop."""

    def __init__(self, name, client, model, chance, ttl, pause=0):
        self.name, self.client, self.model, self.chance, self.ttl = name, client, model, chance, ttl
        self.pause, self.stopping = pause, False
        self.count = self.version = 0
        self.deregistered = []

    def mine(self):
        return [id for id in self.model.servers if id.startswith(f"{self.name}-")]

    async def work(self):
        try:
            while not self.stopping:
                mine = self.mine()
                operation = self.chance.choice(OPERATIONS) if mine else "register"
                if operation == "register" and len(mine) >= MAX_SERVERS:
                    operation = "deregister"
                await getattr(self, operation)(mine)
                self.model.acknowledged += 1
                await asyncio.sleep(self.pause)
        except Unanswered:
            pass

    async def change(self, id, after, status):
        self.model.request(id, after)
        path = f"/v1/servers/{id}"
        answer = await (self.client.delete(path) if after is None else self.client.post("/v1/servers", after))
        assert answer.status == status, f"{id}: {answer.status} instead of {status}: {answer.body[:300]}"
        self.model.confirm(id)

    async def register(self, _):
        self.count += 1
        id = f"{self.name}-{self.count}"
        await self.change(id, body(id, 0, self.ttl), 201)

    async def replace(self, mine):
        id = self.chance.choice(mine)
        self.version += 1
        await self.change(id, body(id, self.version, self.ttl), 200)

    async def repeat(self, mine):
        id = self.chance.choice(mine)
        await self.change(id, self.model.servers[id], 200)

    async def deregister(self, mine):
        id = self.chance.choice(mine)
        await self.change(id, None, 204)
        self.deregistered = [*self.deregistered[-9:], id]

    async def refresh(self, mine):
        id, status = self.chance.choice([(id, 200) for id in mine] + [(id, 404) for id in self.deregistered])
        answer = await self.client.put(f"/v1/servers/{id}/refresh")
        assert answer.status == status, f"refreshing {id}: status {answer.status}: {answer.body[:300]}"

    async def refresh_many(self, mine):
        answer = (await self.client.post("/v1/refresh", {"ids": mine + self.deregistered})).json()
        assert [server["id"] for server in answer["refreshed"]] == mine, f"refreshed {answer['refreshed']} of {mine}"
        assert answer["not_registered"] == self.deregistered, (
            f"not registered {answer['not_registered']}, not {self.deregistered}"
        )

    async def read(self, mine):
        id = self.chance.choice(mine + self.deregistered)
        answer = await self.client.get(f"/v1/servers/{id}")
        if id in self.deregistered:
            assert answer.status == 404, f"{id} is deregistered, and reading it returns {answer.status}"
        else:
            shown, expected = without_times(answer.json()), record(self.model.servers[id])
            assert shown == expected, f"{id} is {shown} instead of {expected}"

    async def page(self, _):
        answer = await self.client.get("/v1/servers?limit=3")
        self.model.saw(answer.json()["revision"])
