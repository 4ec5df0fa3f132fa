"""What was asked for by filters: asked for when it is looked at, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any, Generic, TypeVar

from ._failover import Plan
from ._filters import Pairs
from ._records import Page
from ._requests import LARGEST_PAGE, following

T = TypeVar("T")


class _Asked(Generic[T]):
    """A question, and how many answers are wanted."""

    def __init__(self, ask: Callable[[Pairs], Plan[Page[T]]], query: Pairs) -> None:
        self._ask, self._query = ask, query
        limit = dict(query).get("limit", "")
        self._limit = int(limit) if limit.isdecimal() else None
        if self._limit is not None and self._limit > LARGEST_PAGE:
            # A page holds no more; the others follow.
            self._query = tuple((key, str(LARGEST_PAGE) if key == "limit" else value) for key, value in query)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'&'.join('='.join(pair) for pair in self._query)}>"

    def _first(self) -> Plan[Page[T]]:
        return self._ask(self._query)

    def _page(self, cursor: str | None) -> Plan[Page[T]]:
        return self._ask(self._query if cursor is None else (("cursor", cursor),))

    def _wanted(self, page: Page[T], before: int) -> tuple[T, ...]:
        return page.items if self._limit is None else page.items[: self._limit - before]

    def _next(self, page: Page[T], count: int) -> Plan[Page[T]] | None:
        query = following(page)
        enough = self._limit is not None and count >= self._limit
        return None if query is None or enough else self._ask(query)


class Found(_Asked[T]):
    """What matches. Each look at it asks anew: `for server in found`, `list(found)`, `found.first()`."""

    def __init__(
        self, ask: Callable[[Pairs], Plan[Page[T]]], query: Pairs, run: Callable[[Plan[Page[T]]], Page[T]]
    ) -> None:
        super().__init__(ask, query)
        self._run = run

    def __iter__(self) -> Iterator[T]:
        plan: Plan[Page[T]] | None = self._first()
        count = 0
        while plan is not None:
            page = self._run(plan)
            items = self._wanted(page, count)
            count += len(items)
            yield from items
            plan = self._next(page, count)

    def __bool__(self) -> bool:
        """Whether there is any."""
        return self.first() is not None

    def first(self) -> T | None:
        """The first one, if there is any."""
        return next(iter(self), None)

    def page(self, cursor: str | None = None) -> Page[T]:
        """One page, of `limit` or 100; or the one at a cursor of another page."""
        return self._run(self._page(cursor))


class AsyncFound(_Asked[T]):
    """What matches. Each look at it asks anew: `async for server in found`, `await found` for a list of all."""

    def __init__(
        self, ask: Callable[[Pairs], Plan[Page[T]]], query: Pairs, run: Callable[[Plan[Page[T]]], Awaitable[Page[T]]]
    ) -> None:
        super().__init__(ask, query)
        self._run = run

    async def __aiter__(self) -> AsyncIterator[T]:
        plan: Plan[Page[T]] | None = self._first()
        count = 0
        while plan is not None:
            page = await self._run(plan)
            items = self._wanted(page, count)
            count += len(items)
            for item in items:
                yield item
            plan = self._next(page, count)

    def __await__(self) -> Generator[Any, None, list[T]]:
        return self._all().__await__()

    async def _all(self) -> list[T]:
        return [item async for item in self]

    async def first(self) -> T | None:
        """The first one, if there is any."""
        page = await self._run(self._first())
        return page.items[0] if page.items else None

    async def page(self, cursor: str | None = None) -> Page[T]:
        """One page, of `limit` or 100; or the one at a cursor of another page."""
        return await self._run(self._page(cursor))
