"""All requests to a registry, as plans that the synchronous and the asynchronous client both carry out."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import httpx

from . import _records as records
from ._errors import NoHealthyServers, NotRegistered
from ._failover import Answer, Failover, Plan
from ._filters import Pairs, pairs
from ._records import LeaseState, Page, Refreshed, RefreshedMany, Registered, Server, Stats, ToolEntry
from ._registration import encoded
from ._transport import Request

T = TypeVar("T")

PAGE_LIMIT = 1000
"""How many entries a page contains at most."""


class Requests:
    """The requests to one registry, with the timeout of each address."""

    def __init__(self, failover: Failover, timeout: float) -> None:
        self.failover, self.timeout = failover, timeout

    def with_timeout(self, timeout: float) -> Requests:
        """Returns the same requests with this timeout, if it is shorter."""
        return Requests(self.failover, min(timeout, self.timeout))

    def _send(self, request: Request) -> Plan[Answer]:
        return self.failover.send(request, self.timeout)

    def register(self, body: Mapping[str, Any], *, new_only: bool = False) -> Plan[Registered]:
        """Registers a server, or replaces the registration under its id."""
        request = Request("POST", ("v1", "servers"), body=encoded(body), new_only=new_only)
        answer = yield from self._send(request)
        created = answer.reply.status == 201
        return answer.read(lambda data: Registered(records.server(data), data["lease"], created), body["id"])

    def refresh(self, target: Registered | str, lease: str | None = None) -> Plan[Refreshed]:
        """Refreshes a lease."""
        id, query = _id_and_lease(target, lease)
        answer = yield from self._send(Request("PUT", _server_path(id, "refresh"), query))
        return answer.read(records.refreshed, id)

    def refresh_many(self, ids: Iterable[str]) -> Plan[RefreshedMany]:
        """Refreshes many leases, and returns which ids are not registered."""
        answer = yield from self._send(Request("POST", ("v1", "refresh"), body=encoded({"ids": list(ids)})))
        return answer.read(records.refreshed_many)

    def deregister(self, target: Registered | str, lease: str | None = None) -> Plan[None]:
        """Deregisters a server."""
        id, query = _id_and_lease(target, lease)
        answer = yield from self._send(Request("DELETE", _server_path(id), query))
        if answer.ok:
            return
        error = answer.error(id)
        # An earlier attempt may have deregistered it, with only its response lost.
        if not (answer.repeated and isinstance(error, NotRegistered)):
            raise error

    def get(self, id: str) -> Plan[Server | None]:
        """Returns one server in full."""
        return self._get_optional(id, records.server)

    def health(self, id: str) -> Plan[LeaseState | None]:
        """Returns the health of a server and the remaining time of its lease."""
        return self._get_optional(id, records.lease_state, "health")

    def _get_optional(self, id: str, parse: Callable[[Any], T], *rest: str) -> Plan[T | None]:
        try:
            answer = yield from self._send(Request("GET", _server_path(id, *rest)))
            return answer.read(parse, id)
        except NotRegistered:
            return None

    def servers(self, query: Pairs) -> Plan[Page[Server]]:
        """Returns a page of servers."""
        return self._page("servers", query, records.server)

    def tools(self, query: Pairs) -> Plan[Page[ToolEntry]]:
        """Returns a page of tools."""
        return self._page("tools", query, records.tool_entry)

    def _page(self, kind: str, query: Pairs, parse: Callable[[Any], T]) -> Plan[Page[T]]:
        answer = yield from self._send(Request("GET", ("v1", kind), query))
        return answer.read(lambda data: Page(tuple(map(parse, data[kind])), data["next_cursor"]))

    def stats(self) -> Plan[Stats]:
        """Returns totals."""
        answer = yield from self._send(Request("GET", ("v1", "stats")))
        return answer.read(records.stats)

    def pick(self, name: str) -> Plan[Server]:
        """Returns a random healthy server of this name, so that many clients are spread over all of them."""
        found: list[Server] = []
        query: Pairs | None = pairs({"name": name, "limit": PAGE_LIMIT})
        while query is not None:
            page = yield from self.servers(query)
            found += page.items
            query = next_page_query(page)
        if not found:
            raise NoHealthyServers(name)
        return secrets.choice(found)

    def watch(self, query: Pairs, since: str | None) -> Plan[tuple[httpx.Response, str]]:
        """Opens a stream of the servers that match, and of their changes."""
        return self.failover.open(Request("GET", ("v1", "watch"), query, since=since), self.timeout)


def _server_path(id: str, *rest: str) -> tuple[str, ...]:
    # No server can have these ids, and in a URL they would name another path.
    if id in ("", ".", ".."):
        raise NotRegistered(id)
    return ("v1", "servers", id, *rest)


def _id_and_lease(target: Registered | str, lease: str | None) -> tuple[str, Pairs]:
    """Returns an id, and the lease as a query if it is known."""
    if isinstance(target, Registered):
        return target.id, (("lease", lease or target.lease),)
    return target, (("lease", lease),) if lease else ()


def next_page_query(page: Page[Any]) -> Pairs | None:
    """Returns the query for the next page, if there is one. A cursor contains the filters it came with."""
    return None if page.next_cursor is None else (("cursor", page.next_cursor),)
