"""The client for asyncio."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar, cast

from ._address import authorization, read_addresses
from ._async_heartbeat import AsyncHeartbeat
from ._client import TIMEOUT
from ._failover import Failover, Open, Plan, Send
from ._filters import Filters, WatchFilters, pairs
from ._records import LeaseState, Refreshed, RefreshedMany, Registered, Server, Stats, ToolEntry
from ._registration import Fields, body
from ._requests import Requests
from ._results import AsyncFound
from ._transport import AsyncTransport
from ._watch import AsyncWatch

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

T = TypeVar("T")


class AsyncClient:
    """A client of one registry, for one asyncio event loop. The arguments are those of `Client`."""

    def __init__(
        self,
        addresses: str | Iterable[str] | None = None,
        token: str | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        parsed = read_addresses(addresses)
        self._transport = AsyncTransport(parsed, authorization(token))
        self._requests = Requests(Failover(parsed), timeout)
        self._heartbeats: weakref.WeakSet[AsyncHeartbeat] = weakref.WeakSet()
        self._watches: weakref.WeakSet[AsyncWatch] = weakref.WeakSet()

    def __repr__(self) -> str:
        return f"AsyncClient({str(self._requests.failover)!r})"

    async def register(self, name: str, *, new_only: bool = False, **fields: Unpack[Fields]) -> Registered:
        """Registers a server, or replaces the registration under its id; with `new_only`, fails if the id is taken.

        The caller has to refresh the lease; `keep_alive` registers and refreshes.
        """
        return await self._run(self._requests.register(body(name, fields), new_only=new_only))

    async def refresh(self, target: Registered | str, lease: str | None = None) -> Refreshed:
        """Refreshes the lease of a registration, or the current lease of an id.

        Raises `NotRegistered`: register again; `LeaseReplaced`: another process has registered the id.
        """
        return await self._run(self._requests.refresh(target, lease))

    async def refresh_many(self, ids: Iterable[str]) -> RefreshedMany:
        """Refreshes the leases of many ids in one request, and returns which ids are not registered."""
        return await self._run(self._requests.refresh_many(ids))

    async def deregister(self, target: Registered | str, lease: str | None = None) -> None:
        """Deregisters a server. Raises `NotRegistered`, `LeaseReplaced`."""
        await self._run(self._requests.deregister(target, lease))

    async def get(self, id: str) -> Server | None:
        """Returns one server in full; None if the id is not registered."""
        return await self._run(self._requests.get(id))

    async def health(self, id: str) -> LeaseState | None:
        """Returns the health of a server and the remaining time of its lease; None if the id is not registered."""
        return await self._run(self._requests.health(id))

    def find(self, **filters: Unpack[Filters]) -> AsyncFound[Server]:
        """Returns the servers that match: `async for` iterates page by page, `await` returns a list."""
        return AsyncFound(self._requests.servers, pairs(filters), self._run)

    def tools(self, **filters: Unpack[Filters]) -> AsyncFound[ToolEntry]:
        """Returns the tools that match, each once, with the servers that offer it.

        `tool` and `q` select tools; the other filters select servers.
        """
        return AsyncFound(self._requests.tools, pairs(filters), self._run)

    async def stats(self) -> Stats:
        """Returns the numbers of registered servers, tools, resources and prompts."""
        return await self._run(self._requests.stats())

    async def pick(self, name: str) -> Server:
        """Returns a random healthy server of this name; raises `NoHealthyServers`."""
        return await self._run(self._requests.pick(name))

    def watch(self, *, since: str | None = None, **filters: Unpack[WatchFilters]) -> AsyncWatch:
        """Watches the servers that match: first a `Snapshot` of all of them, then a `Change` for each change, in order.

        A lost connection is reopened after the last event, without gaps or duplicates, or with a new `Snapshot`, which
        replaces everything received before. With `since`, the watch begins after that revision. It ends when the client
        is closed.
        """
        watch = AsyncWatch(self._requests, pairs(filters), since, self._run)
        self._watches.add(watch)
        return watch

    def keep_alive(self, name: str, **fields: Unpack[Fields]) -> AsyncHeartbeat:
        """Registers a server, refreshes its lease, and deregisters it when the heartbeat is stopped.

        The heartbeat starts at once, in a task. It retries while the registry is down, and registers again if the
        registry has lost the server.
        """
        heartbeat = AsyncHeartbeat(self._requests, self._transport, body(name, fields))
        self._heartbeats.add(heartbeat)
        return heartbeat

    async def aclose(self) -> None:
        """Ends all watches, stops all heartbeats within two seconds, and closes all connections."""
        for watch in list(self._watches):
            await watch.end()
        await asyncio.gather(*(heartbeat.stop() for heartbeat in self._heartbeats))
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _run(self, plan: Plan[T]) -> T:
        """Performs the steps of a plan."""
        try:
            step = next(plan)
            while True:
                if isinstance(step, Send):
                    step = plan.send(await self._transport.send(step.index, step.request, step.timeout))
                elif isinstance(step, Open):
                    step = plan.send(await self._transport.open(step.index, step.request, step.timeout))
        except StopIteration as done:
            return cast("T", done.value)
