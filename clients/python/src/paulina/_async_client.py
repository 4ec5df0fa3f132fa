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
from ._failover import Exchange, Open, Plan, Send
from ._filters import Filters, WatchFilters, pairs
from ._records import LeaseState, Refreshed, RefreshedMany, Registered, Server, Stats, Tool
from ._registration import Fields, body
from ._requests import Questions
from ._results import AsyncFound
from ._transport import AsyncWires
from ._watch import AsyncWatch

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

T = TypeVar("T")


class AsyncClient:
    """A client of one registry, for one event loop of asyncio. What it takes is what `Client` takes."""

    def __init__(
        self,
        addresses: str | Iterable[str] | None = None,
        token: str | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        given = read_addresses(addresses)
        self._wires = AsyncWires(given, authorization(token))
        self._questions = Questions(Exchange(given), timeout)
        self._heartbeats: weakref.WeakSet[AsyncHeartbeat] = weakref.WeakSet()
        self._watches: weakref.WeakSet[AsyncWatch] = weakref.WeakSet()

    def __repr__(self) -> str:
        return f"AsyncClient({str(self._questions.exchange)!r})"

    async def register(self, name: str, *, new_only: bool = False, **fields: Unpack[Fields]) -> Registered:
        """Registers a server, or replaces what was registered under its id; `new_only` refuses to replace.

        Whoever registers keeps the lease alive: see `keep_alive`, which does both.
        """
        return await self._run(self._questions.register(body(name, fields), new_only=new_only))

    async def refresh(self, target: Registered | str, lease: str | None = None) -> Refreshed:
        """Renews a lease: of what `register` gave, or of whatever holds an id.

        Raises `NotRegistered`: register again; `LeaseReplaced`: leave it alone.
        """
        return await self._run(self._questions.refresh(target, lease))

    async def refresh_many(self, ids: Iterable[str]) -> RefreshedMany:
        """Renews the leases of many ids in one call, and says which of them are not registered."""
        return await self._run(self._questions.refresh_many(ids))

    async def deregister(self, target: Registered | str, lease: str | None = None) -> None:
        """Takes a server out. Raises `NotRegistered`, `LeaseReplaced`."""
        await self._run(self._questions.deregister(target, lease))

    async def get(self, id: str) -> Server | None:
        """One server with all that it registered; None if the id is not registered."""
        return await self._run(self._questions.get(id))

    async def health(self, id: str) -> LeaseState | None:
        """Whether a server is alive, and what is left of its lease; None if the id is not registered."""
        return await self._run(self._questions.health(id))

    def find(self, **filters: Unpack[Filters]) -> AsyncFound[Server]:
        """The servers that match: `async for`, page by page, or `await`, all in a list."""
        return AsyncFound(self._questions.servers, pairs(filters), self._run)

    def tools(self, **filters: Unpack[Filters]) -> AsyncFound[Tool]:
        """The tools that match, each once, with the servers that offer it.

        Here `tool` and `q` choose tools; the other filters choose servers.
        """
        return AsyncFound(self._questions.tools, pairs(filters), self._run)

    async def stats(self) -> Stats:
        """Totals of what is registered."""
        return await self._run(self._questions.stats())

    async def pick(self, name: str) -> Server:
        """A healthy server of this name, any one of them by chance; raises `NoHealthyServers`."""
        return await self._run(self._questions.pick(name))

    def watch(self, *, since: str | None = None, **filters: Unpack[WatchFilters]) -> AsyncWatch:
        """Tells of the servers that match: all of them first, and then every change of them, in its order.

        A stream that breaks off goes on by itself where it was, with no gap and no repeat, or with a `Snapshot`, which
        replaces all that was known. With `since`, it begins right after that revision. It ends with its client.
        """
        watch = AsyncWatch(self._questions, pairs(filters), since, self._run)
        self._watches.add(watch)
        return watch

    def keep_alive(self, name: str, **fields: Unpack[Fields]) -> AsyncHeartbeat:
        """Registers a server, keeps its lease alive, and takes it out when the heartbeat is stopped.

        It begins at once, in a task, and does not mind that the registry is down; a server that the registry has lost
        is registered again.
        """
        heartbeat = AsyncHeartbeat(self._questions, self._wires, body(name, fields))
        self._heartbeats.add(heartbeat)
        return heartbeat

    async def aclose(self) -> None:
        """Ends its watches, stops its heartbeats, in two seconds at most, and closes its connections."""
        for watch in list(self._watches):
            await watch.end()
        await asyncio.gather(*(heartbeat.stop() for heartbeat in self._heartbeats))
        await self._wires.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _run(self, plan: Plan[T]) -> T:
        """Carries out a plan."""
        try:
            step = next(plan)
            while True:
                if isinstance(step, Send):
                    step = plan.send(await self._wires.send(step.index, step.call, step.limit))
                elif isinstance(step, Open):
                    step = plan.send(await self._wires.open(step.index, step.call, step.limit))
        except StopIteration as done:
            return cast("T", done.value)
