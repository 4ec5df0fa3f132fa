"""The client that waits for its answers."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar, cast

from ._address import authorization, read_addresses
from ._failover import Exchange, Open, Plan, Send
from ._filters import Filters, WatchFilters, pairs
from ._heartbeat import Heartbeat, stop_all
from ._records import LeaseState, Refreshed, RefreshedMany, Registered, Server, Stats, Tool
from ._registration import Fields, body
from ._requests import Questions
from ._results import Found
from ._transport import SyncWires
from ._watch import Watch

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

T = TypeVar("T")

TIMEOUT = 10.0


class Client:
    """A client of one registry; threads may share it.

    `addresses` are `http://…`, `https://…`, or `unix:` and a path. Several, as those of a primary and its standby, are
    a list or have commas in between: the one that answered last is asked first (a standby for half a minute), and the
    others when it cannot do it. If there are none, they are those of PAULINA_URL, or else http://127.0.0.1:7285.
    `token` is PAULINA_TOKEN, if not given. `timeout` is the time, in seconds, that one address may take to answer.
    """

    def __init__(
        self,
        addresses: str | Iterable[str] | None = None,
        token: str | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        given = read_addresses(addresses)
        self._wires = SyncWires(given, authorization(token))
        self._questions = Questions(Exchange(given), timeout)
        self._heartbeats: weakref.WeakSet[Heartbeat] = weakref.WeakSet()
        self._watches: weakref.WeakSet[Watch] = weakref.WeakSet()

    def __repr__(self) -> str:
        return f"Client({str(self._questions.exchange)!r})"

    def register(self, name: str, *, new_only: bool = False, **fields: Unpack[Fields]) -> Registered:
        """Registers a server, or replaces what was registered under its id; `new_only` refuses to replace.

        Whoever registers keeps the lease alive: see `keep_alive`, which does both.
        """
        return self._run(self._questions.register(body(name, fields), new_only=new_only))

    def refresh(self, target: Registered | str, lease: str | None = None) -> Refreshed:
        """Renews a lease: of what `register` gave, or of whatever holds an id.

        Raises `NotRegistered`: register again; `LeaseReplaced`: leave it alone.
        """
        return self._run(self._questions.refresh(target, lease))

    def refresh_many(self, ids: Iterable[str]) -> RefreshedMany:
        """Renews the leases of many ids in one call, and says which of them are not registered."""
        return self._run(self._questions.refresh_many(ids))

    def deregister(self, target: Registered | str, lease: str | None = None) -> None:
        """Takes a server out. Raises `NotRegistered`, `LeaseReplaced`."""
        self._run(self._questions.deregister(target, lease))

    def get(self, id: str) -> Server | None:
        """One server with all that it registered; None if the id is not registered."""
        return self._run(self._questions.get(id))

    def health(self, id: str) -> LeaseState | None:
        """Whether a server is alive, and what is left of its lease; None if the id is not registered."""
        return self._run(self._questions.health(id))

    def find(self, **filters: Unpack[Filters]) -> Found[Server]:
        """The servers that match, asked for when they are looked at."""
        return Found(self._questions.servers, pairs(filters), self._run)

    def tools(self, **filters: Unpack[Filters]) -> Found[Tool]:
        """The tools that match, each once, with the servers that offer it.

        Here `tool` and `q` choose tools; the other filters choose servers.
        """
        return Found(self._questions.tools, pairs(filters), self._run)

    def stats(self) -> Stats:
        """Totals of what is registered."""
        return self._run(self._questions.stats())

    def pick(self, name: str) -> Server:
        """A healthy server of this name, any one of them by chance; raises `NoHealthyServers`."""
        return self._run(self._questions.pick(name))

    def watch(self, *, since: str | None = None, **filters: Unpack[WatchFilters]) -> Watch:
        """Tells of the servers that match: all of them first, and then every change of them, in its order.

        A stream that breaks off goes on by itself where it was, with no gap and no repeat, or with a `Snapshot`, which
        replaces all that was known. With `since`, it begins right after that revision. It ends with its client.
        """
        watch = Watch(self._questions, pairs(filters), since, self._run)
        self._watches.add(watch)
        return watch

    def keep_alive(self, name: str, **fields: Unpack[Fields]) -> Heartbeat:
        """Registers a server, keeps its lease alive, and takes it out when the heartbeat is stopped.

        It begins at once, in a thread, and does not mind that the registry is down; a server that the registry has lost
        is registered again.
        """
        heartbeat = Heartbeat(self._questions, self._wires, body(name, fields))
        self._heartbeats.add(heartbeat)
        return heartbeat

    def close(self) -> None:
        """Ends its watches, stops its heartbeats, in two seconds at most, and closes its connections."""
        for watch in list(self._watches):
            watch.close()
        stop_all(self._heartbeats)
        self._wires.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, plan: Plan[T]) -> T:
        """Carries out a plan."""
        try:
            step = next(plan)
            while True:
                if isinstance(step, Send):
                    step = plan.send(self._wires.send(step.index, step.call, step.limit))
                elif isinstance(step, Open):
                    step = plan.send(self._wires.open(step.index, step.call, step.limit))
        except StopIteration as done:
            return cast("T", done.value)
