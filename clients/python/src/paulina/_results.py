"""Results of `find` and `tools`, requested page by page when they are iterated."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any, Generic, TypeVar

from ._failover import Plan
from ._filters import Pairs
from ._records import Page
from ._requests import PAGE_LIMIT, next_page_query

T = TypeVar("T")


class _Query(Generic[T]):
    """A query, and how many entries the caller wants."""

    def __init__(self, request_page: Callable[[Pairs], Plan[Page[T]]], query: Pairs) -> None:
        self._request_page, self._query = request_page, query
        limit = dict(query).get("limit", "")
        self._limit = int(limit) if limit.isdecimal() else None
        if self._limit is not None and self._limit > PAGE_LIMIT:
            # A page contains no more; further pages contain the rest.
            self._query = tuple((key, str(PAGE_LIMIT) if key == "limit" else value) for key, value in query)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'&'.join('='.join(pair) for pair in self._query)}>"

    def _first_page(self) -> Plan[Page[T]]:
        return self._request_page(self._query)

    def _page(self, cursor: str | None) -> Plan[Page[T]]:
        return self._request_page(self._query if cursor is None else (("cursor", cursor),))

    def _up_to_limit(self, page: Page[T], before: int) -> tuple[T, ...]:
        return page.items if self._limit is None else page.items[: self._limit - before]

    def _next_page(self, page: Page[T], count: int) -> Plan[Page[T]] | None:
        query = next_page_query(page)
        is_enough = self._limit is not None and count >= self._limit
        return None if query is None or is_enough else self._request_page(query)


class Found(_Query[T]):
    """The entries that match. Each iteration sends new requests: `for server in found`, `list(found)`."""

    def __init__(
        self, request_page: Callable[[Pairs], Plan[Page[T]]], query: Pairs, run: Callable[[Plan[Page[T]]], Page[T]]
    ) -> None:
        super().__init__(request_page, query)
        self._run = run

    def __iter__(self) -> Iterator[T]:
        plan: Plan[Page[T]] | None = self._first_page()
        count = 0
        while plan is not None:
            page = self._run(plan)
            items = self._up_to_limit(page, count)
            count += len(items)
            yield from items
            plan = self._next_page(page, count)

    def __bool__(self) -> bool:
        """Whether any entry matches."""
        return self.first() is not None

    def first(self) -> T | None:
        """Returns the first entry, or None."""
        return next(iter(self), None)

    def page(self, cursor: str | None = None) -> Page[T]:
        """Returns one page, of `limit` or 100 entries; or the one at the cursor of another page."""
        return self._run(self._page(cursor))


class AsyncFound(_Query[T]):
    """The entries that match. Each iteration sends new requests: `async for server in found`, `await found`."""

    def __init__(
        self,
        request_page: Callable[[Pairs], Plan[Page[T]]],
        query: Pairs,
        run: Callable[[Plan[Page[T]]], Awaitable[Page[T]]],
    ) -> None:
        super().__init__(request_page, query)
        self._run = run

    async def __aiter__(self) -> AsyncIterator[T]:
        plan: Plan[Page[T]] | None = self._first_page()
        count = 0
        while plan is not None:
            page = await self._run(plan)
            items = self._up_to_limit(page, count)
            count += len(items)
            for item in items:
                yield item
            plan = self._next_page(page, count)

    def __await__(self) -> Generator[Any, None, list[T]]:
        return self._all().__await__()

    async def _all(self) -> list[T]:
        return [item async for item in self]

    async def first(self) -> T | None:
        """Returns the first entry, or None."""
        page = await self._run(self._first_page())
        return page.items[0] if page.items else None

    async def page(self, cursor: str | None = None) -> Page[T]:
        """Returns one page, of `limit` or 100 entries; or the one at the cursor of another page."""
        return await self._run(self._page(cursor))
