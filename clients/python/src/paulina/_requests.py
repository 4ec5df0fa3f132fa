"""What a registry can be asked, as plans that either client carries out."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import httpx

from . import _records as records
from ._errors import NoHealthyServers, NotRegistered
from ._failover import Answer, Exchange, Plan
from ._filters import Pairs, pairs
from ._records import LeaseState, Page, Refreshed, RefreshedMany, Registered, Server, Stats, Tool
from ._registration import encoded
from ._transport import Call

T = TypeVar("T")

LARGEST_PAGE = 1000


class Questions:
    """Everything that one registry is asked, each answer within a time."""

    def __init__(self, exchange: Exchange, timeout: float) -> None:
        self.exchange, self.timeout = exchange, timeout

    def patient(self, timeout: float) -> Questions:
        """The same, with less patience."""
        return Questions(self.exchange, min(timeout, self.timeout))

    def _ask(self, call: Call) -> Plan[Answer]:
        return self.exchange.ask(call, self.timeout)

    def register(self, body: Mapping[str, Any], *, new_only: bool = False) -> Plan[Registered]:
        """Registers, or replaces what was registered under the id."""
        call = Call("POST", ("v1", "servers"), body=encoded(body), new_only=new_only)
        answer = yield from self._ask(call)
        created = answer.reply.status == 201
        return answer.read(lambda data: Registered(records.server(data), data["lease"], created), body["id"])

    def refresh(self, target: Registered | str, lease: str | None = None) -> Plan[Refreshed]:
        """Renews a lease."""
        id, query = _named(target, lease)
        answer = yield from self._ask(Call("PUT", ("v1", "servers", id, "refresh"), query))
        return answer.read(records.refreshed, id)

    def refresh_many(self, ids: Iterable[str]) -> Plan[RefreshedMany]:
        """Renews many, and says which of them are not registered."""
        answer = yield from self._ask(Call("POST", ("v1", "refresh"), body=encoded({"ids": list(ids)})))
        return answer.read(records.refreshed_many)

    def deregister(self, target: Registered | str, lease: str | None = None) -> Plan[None]:
        """Takes a server out."""
        id, query = _named(target, lease)
        answer = yield from self._ask(Call("DELETE", ("v1", "servers", id), query))
        if answer.ok:
            return
        refusal = answer.refusal(id)
        # The first time may have done it, with only its answer lost.
        if not (answer.repeated and isinstance(refusal, NotRegistered)):
            raise refusal

    def get(self, id: str) -> Plan[Server | None]:
        """One server with all that it registered."""
        return self._perhaps(("v1", "servers", id), id, records.server)

    def health(self, id: str) -> Plan[LeaseState | None]:
        """What is left of a lease."""
        return self._perhaps(("v1", "servers", id, "health"), id, records.lease_state)

    def _perhaps(self, path: tuple[str, ...], id: str, parse: Callable[[Any], T]) -> Plan[T | None]:
        answer = yield from self._ask(Call("GET", path))
        try:
            return answer.read(parse, id)
        except NotRegistered:
            return None

    def servers(self, query: Pairs) -> Plan[Page[Server]]:
        """A page of servers."""
        return self._page("servers", query, records.server)

    def tools(self, query: Pairs) -> Plan[Page[Tool]]:
        """A page of tools."""
        return self._page("tools", query, records.tool)

    def _page(self, kind: str, query: Pairs, parse: Callable[[Any], T]) -> Plan[Page[T]]:
        answer = yield from self._ask(Call("GET", ("v1", kind), query))
        return answer.read(lambda data: Page(tuple(map(parse, data[kind])), data["next_cursor"]))

    def stats(self) -> Plan[Stats]:
        """Totals."""
        answer = yield from self._ask(Call("GET", ("v1", "stats")))
        return answer.read(records.stats)

    def pick(self, name: str) -> Plan[Server]:
        """A healthy server of this name: any one of them, by chance, so that many clients spread over all."""
        found: list[Server] = []
        query: Pairs | None = pairs({"name": name, "limit": LARGEST_PAGE})
        while query is not None:
            page = yield from self.servers(query)
            found += page.items
            query = following(page)
        if not found:
            raise NoHealthyServers(name)
        return secrets.choice(found)

    def watch(self, query: Pairs, since: str | None) -> Plan[tuple[httpx.Response, str]]:
        """A stream of what matches, and of its changes."""
        return self.exchange.open(Call("GET", ("v1", "watch"), query, since=since), self.timeout)


def _named(target: Registered | str, lease: str | None) -> tuple[str, Pairs]:
    """An id, and the lease if it is known."""
    if isinstance(target, Registered):
        return target.id, (("lease", lease or target.lease),)
    return target, (("lease", lease),) if lease else ()


def following(page: Page[Any]) -> Pairs | None:
    """What asks for the page after this one, if there is one. A cursor carries the filters it came with."""
    return None if page.next_cursor is None else (("cursor", page.next_cursor),)
