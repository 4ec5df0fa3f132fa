"""What callers were told, and whether the registry holds to it.

Each caller has ids of its own and asks one thing at a time. Of each id is therefore known what was acknowledged last,
and at most one change that was asked for and not answered: after a crash the registry must show the one or the other,
whole.
"""

import asyncio
import random

from client import Unanswered, listed

TIMES = ("health", "registered_at", "updated_at", "refreshed_at", "expires_at")
WORDS = "read write list find move copy send fetch parse build check merge".split()
MOST = 12  # servers a caller
OPERATIONS = ["register", "replace", "repeat", "deregister", "refresh", "refresh_many", "read", "page"]


def body(id, version, ttl, bulk=0):
    """A registration that can be told from every other one by each of its parts."""
    chance = random.Random(f"{id} {version}")
    mark = f"{id}.{version}"
    tools = [{"name": f"{chance.choice(WORDS)}_{number}", "description": f"of {mark}",
              "inputSchema": {"type": "object", "title": mark, "n": number, "x": "x" * bulk}}
             for number in range(chance.randrange(1, 7))]
    resources = [{"uri": f"doc://{mark}/{number}", "name": mark} for number in range(chance.randrange(4))]
    transport = {"transport": "stdio", "command": ["run", mark]}
    if chance.random() < 0.5:
        transport = {"transport": "streamable-http", "url": f"http://127.0.0.1/{mark}"}
    return {"id": id, "name": f"name-{chance.randrange(5)}", "title": mark, "version": f"1.0.{version}",
            "description": f"at {mark}", **transport,
            "capabilities": {"tools": tools, "resources": resources, "prompts": [{"name": mark}], "logging": True},
            "tags": sorted({mark, *chance.sample(WORDS, 2)}), "metadata": {"mark": mark}, "ttl": ttl}


def record(body):
    """What the registry shows of a registration, but for times and health."""
    empty = {"command": None, "url": None, "environment": [], "headers": [], "owner": None}
    return {**empty, **body}


def without_times(server):
    return {key: value for key, value in server.items() if key not in TIMES}


class Model:
    def __init__(self):
        self.servers = {}  # id: the registration that was acknowledged last
        self.doubtful = {}  # id: the registration asked for without an answer, or None for a deregistration
        self.changes = {}  # id: the changes acknowledged since `settled`
        self.acknowledged = 0
        self.revision = 0  # the highest that was answered
        self.epochs = set()

    def ask(self, id, after):
        self.doubtful[id] = after

    def refuse(self, id):
        """The answer says that nothing was done."""
        del self.doubtful[id]

    def confirm(self, id):
        """Takes what was asked for as done."""
        before, after = self.servers.get(id), self.doubtful.pop(id)
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
        """Compares the whole catalogue with what was told; what was in doubt is known afterwards."""
        answered = self.revision
        shown, revision = await listed(client, "view=full&healthy=any&limit=100")
        self.saw(revision)
        found = {server["id"]: without_times(server) for server in shown}
        assert len(found) == len(shown), "a server is listed twice"
        for id, after in list(self.doubtful.items()):
            if found.get(id) == (after and record(after)) and self.servers.get(id) != after:
                self.confirm(id)
            else:
                self.refuse(id)
        for id, server in self.servers.items():
            assert id in found, f"{id} was acknowledged and is lost"
            assert found[id] == record(server), f"{id} is not what was sent: {found[id]} instead of {record(server)}"
        strange = found.keys() - self.servers.keys()
        assert not strange, f"nobody registered these, or they were deregistered: {sorted(strange)[:5]}"
        assert int(revision.partition("-")[2]) >= answered, f"{revision} is answered after {answered}"
        if healthy:
            alive, _ = await listed(client, "healthy=true&limit=1000")
            dead = self.servers.keys() - {server["id"] for server in alive}
            assert not dead, f"these are unhealthy before their time: {sorted(dead)[:5]}"
        await self.probe(client)

    async def probe(self, client):
        """Questions that go through the indexes, the full text and the totals."""
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
                right = {id for id, server in self.servers.items() if has(server)}
                assert found == right, f"{query} finds {len(found)} servers and should find {len(right)}"

    def take_changes(self):
        changes, self.changes = self.changes, {}
        return changes


class Caller:
    """Asks for one thing after the other and checks each answer, until there is none or it is to stop."""

    def __init__(self, name, client, model, chance, ttl, pause=0):
        self.name, self.client, self.model, self.chance, self.ttl = name, client, model, chance, ttl
        self.pause, self.stopping = pause, False
        self.count = self.version = 0
        self.gone = []

    def mine(self):
        return [id for id in self.model.servers if id.startswith(f"{self.name}-")]

    async def work(self):
        try:
            while not self.stopping:
                mine = self.mine()
                operation = self.chance.choice(OPERATIONS) if mine else "register"
                if operation == "register" and len(mine) >= MOST:
                    operation = "deregister"
                await getattr(self, operation)(mine)
                self.model.acknowledged += 1
                await asyncio.sleep(self.pause)
        except Unanswered:
            pass

    async def change(self, id, after, status):
        self.model.ask(id, after)
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
        self.gone = [*self.gone[-9:], id]

    async def refresh(self, mine):
        id, status = self.chance.choice([(id, 200) for id in mine] + [(id, 404) for id in self.gone])
        answer = await self.client.put(f"/v1/servers/{id}/refresh")
        assert answer.status == status, f"refreshing {id} was answered {answer.status}: {answer.body[:300]}"

    async def refresh_many(self, mine):
        answer = (await self.client.post("/v1/refresh", {"ids": mine + self.gone})).json()
        assert [server["id"] for server in answer["refreshed"]] == mine, f"refreshed {answer['refreshed']} of {mine}"
        assert answer["not_registered"] == self.gone, f"not registered {answer['not_registered']}, not {self.gone}"

    async def read(self, mine):
        id = self.chance.choice(mine + self.gone)
        answer = await self.client.get(f"/v1/servers/{id}")
        if id in self.gone:
            assert answer.status == 404, f"{id} is deregistered and answered {answer.status}"
        else:
            shown, right = without_times(answer.json()), record(self.model.servers[id])
            assert shown == right, f"{id} is shown as {shown} instead of {right}"

    async def page(self, _):
        answer = await self.client.get("/v1/servers?limit=3")
        self.model.saw(answer.json()["revision"])
