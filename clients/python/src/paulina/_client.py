"""The synchronous client."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar, cast

from ._address import authorization, read_addresses
from ._failover import Failover, Open, Plan, Send
from ._filters import Filters, WatchFilters, pairs
from ._heartbeat import Heartbeat, stop_all
from ._records import LeaseState, Refreshed, RefreshedMany, Registered, Server, Stats, ToolEntry
from ._registration import Fields, body
from ._requests import Requests
from ._results import Found
from ._transport import SyncTransport
from ._watch import Watch

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

T = TypeVar("T")

TIMEOUT = 10.0
"""How long one address may take to answer, in seconds."""


class Client:
    """A client of one registry; it is safe to share between threads.

    `addresses` are `http://…`, `https://…`, or `unix:` and a path. Several, such as a primary and its standby, are a
    list, or a string with commas: the address that answered last is tried first (a standby for 30 seconds), then the
    others. The default is PAULINA_URL, then http://127.0.0.1:7285. The default of `token` is PAULINA_TOKEN. `timeout`
    is how long one address may take to answer, in seconds.
    """

    def __init__(
        self,
        addresses: str | Iterable[str] | None = None,
        token: str | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        parsed = read_addresses(addresses)
        self._transport = SyncTransport(parsed, authorization(token))
        self._requests = Requests(Failover(parsed), timeout)
        self._heartbeats: weakref.WeakSet[Heartbeat] = weakref.WeakSet()
        self._watches: weakref.WeakSet[Watch] = weakref.WeakSet()

    def __repr__(self) -> str:
        return f"Client({str(self._requests.failover)!r})"

    def register(self, name: str, *, new_only: bool = False, **fields: Unpack[Fields]) -> Registered:
        """Registers a server, or replaces the registration under its id; with `new_only`, fails if the id is taken.

        The caller has to refresh the lease; `keep_alive` registers and refreshes.
        """
        return self._run(self._requests.register(body(name, fields), new_only=new_only))

    def refresh(self, target: Registered | str, lease: str | None = None) -> Refreshed:
        """Refreshes the lease of a registration, or the current lease of an id.

        Raises `NotRegistered`: register again; `LeaseReplaced`: another process has registered the id.
        """
        return self._run(self._requests.refresh(target, lease))

    def refresh_many(self, ids: Iterable[str]) -> RefreshedMany:
        """Refreshes the leases of many ids in one request, and returns which ids are not registered."""
        return self._run(self._requests.refresh_many(ids))

    def deregister(self, target: Registered | str, lease: str | None = None) -> None:
        """Deregisters a server. Raises `NotRegistered`, `LeaseReplaced`."""
        self._run(self._requests.deregister(target, lease))

    def get(self, id: str) -> Server | None:
        """Returns one server in full; None if the id is not registered."""
        return self._run(self._requests.get(id))

    def health(self, id: str) -> LeaseState | None:
        """Returns the health of a server and the remaining time of its lease; None if the id is not registered."""
        return self._run(self._requests.health(id))

    def find(self, **filters: Unpack[Filters]) -> Found[Server]:
        """Returns the servers that match; they are requested when the result is iterated."""
        return Found(self._requests.servers, pairs(filters), self._run)

    def tools(self, **filters: Unpack[Filters]) -> Found[ToolEntry]:
        """Returns the tools that match, each once, with the servers that offer it.

        `tool` and `q` select tools; the other filters select servers.
        """
        return Found(self._requests.tools, pairs(filters), self._run)

    def stats(self) -> Stats:
        """Returns the numbers of registered servers, tools, resources and prompts."""
        return self._run(self._requests.stats())

    def pick(self, name: str) -> Server:
        """Returns a random healthy server of this name; raises `NoHealthyServers`."""
        return self._run(self._requests.pick(name))

    def watch(self, *, since: str | None = None, **filters: Unpack[WatchFilters]) -> Watch:
        """Watches the servers that match: first a `Snapshot` of all of them, then a `Change` for each change, in order.

        A lost connection is reopened after the last event, without gaps or duplicates, or with a new `Snapshot`, which
        replaces everything received before. With `since`, the watch begins after that revision. It ends when the client
        is closed.
        """
        watch = Watch(self._requests, pairs(filters), since, self._run)
        self._watches.add(watch)
        return watch

    def keep_alive(self, name: str, **fields: Unpack[Fields]) -> Heartbeat:
        """Registers a server, refreshes its lease, and deregisters it when the heartbeat is stopped.

        The heartbeat starts at once, in a thread. It retries while the registry is down, and registers again if the
        registry has lost the server.
        """
        heartbeat = Heartbeat(self._requests, self._transport, body(name, fields))
        self._heartbeats.add(heartbeat)
        return heartbeat

    def close(self) -> None:
        """Ends all watches, stops all heartbeats within two seconds, and closes all connections."""
        for watch in list(self._watches):
            watch.close()
        stop_all(self._heartbeats)
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, plan: Plan[T]) -> T:
        """Performs the steps of a plan."""
        try:
            step = next(plan)
            while True:
                if isinstance(step, Send):
                    step = plan.send(self._transport.send(step.index, step.request, step.timeout))
                elif isinstance(step, Open):
                    step = plan.send(self._transport.open(step.index, step.request, step.timeout))
        except StopIteration as done:
            return cast("T", done.value)
