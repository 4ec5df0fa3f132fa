"""Watching a registry: the stream goes on by itself, with no gap and no repeat, whatever breaks in between."""

from __future__ import annotations

import contextlib
import json
import logging
import random
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias

import anyio
import httpx

from . import _records as records
from ._errors import NotARegistry, PaulinaError, Unreachable
from ._events import Events
from ._failover import Plan
from ._filters import Pairs
from ._records import Watched
from ._requests import Questions
from ._transport import SILENCE, innermost

if TYPE_CHECKING:
    from typing_extensions import Self

logger = logging.getLogger("paulina")

FIRST_PAUSE = 0.1
"""The first pause before it is asked again; each further one is twice as long, up to the last."""
LAST_PAUSE = 5.0

Opened: TypeAlias = "tuple[httpx.Response, str]"


class _Watching:
    """Where a watcher is: what it asks for, and the last that it was told."""

    def __init__(self, questions: Questions, query: Pairs, since: str | None) -> None:
        self._questions, self._query = questions, query
        self.since = since
        """The revision of the last that was told; a later watcher goes on right after it."""
        self._failures = 0
        self._events, self._address = Events(), ""

    def _plan(self) -> Plan[Opened]:
        return self._questions.watch(self._query, self.since)

    def _begun(self, address: str) -> None:
        self._events, self._address = Events(), address

    def _next(self) -> Watched | None:
        """What has come as a whole."""
        event = self._events.next()
        if event is None:
            return None
        try:
            watched = records.watched(event.kind, json.loads(event.data))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NotARegistry(self._address, f"its event {event.kind!r} cannot be read: {error!r}") from error
        self.since, self._failures = watched.revision, 0
        return watched

    def _broken(self, error: Exception) -> Unreachable:
        silent = isinstance(error, httpx.TimeoutException)
        reason = f"nothing came for {SILENCE:g} s" if silent else innermost(error)
        return Unreachable(self._address, reason)

    def _ended(self) -> Unreachable:
        return Unreachable(self._address, "the stream ended")

    def _pause(self, error: PaulinaError) -> float:
        """How long to wait before it is asked for again; raises what patience does not mend."""
        # A registry that was there once has a proxy before it that answers while it is down; else the address is wrong.
        if not error.temporary or (isinstance(error, NotARegistry) and self.since is None):
            raise error
        logger.debug("the stream broke off; it is asked for again: %s", error)
        pause: float = min(FIRST_PAUSE * 2 ** min(self._failures, 10), LAST_PAUSE)
        self._failures += 1
        return pause * (1 - random.random() / 2)


class Watch(_Watching):
    """A watcher, as `Client.watch` gives it: an iterator that waits for what happens.

    Another thread may close it, or its client: then it ends, as any iterator does.
    """

    def __init__(
        self, questions: Questions, query: Pairs, since: str | None, run: Callable[[Plan[Opened]], Opened]
    ) -> None:
        super().__init__(questions, query, since)
        self._run, self._closed = run, threading.Event()
        self._response: httpx.Response | None = None
        self._parts: Iterator[bytes] = iter(())

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Watched:
        while not self._closed.is_set():
            try:
                if self._response is None:
                    self._response, address = self._run(self._plan())
                    self._parts = self._response.iter_raw()
                    self._begun(address)
                    continue
                watched = self._next()
                if watched is not None:
                    return watched
                self._events.feed(self._more())
            except PaulinaError as error:
                self._drop()
                self._closed.wait(self._pause(error))
            except BaseException:
                self._drop()
                raise
        self._drop()
        raise StopIteration

    def _more(self) -> bytes:
        try:
            return next(self._parts)
        except StopIteration:
            raise self._ended() from None
        except (httpx.TransportError, httpx.StreamError) as error:
            raise self._broken(error) from error

    def _drop(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None

    def close(self) -> None:
        """Ends it, also where another thread waits for what comes next."""
        self._closed.set()
        response = self._response
        stream = None if response is None else response.extensions.get("network_stream")
        connection = None if stream is None else stream.get_extra_info("socket")
        if connection is not None:
            # Closing alone would not wake whoever reads.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._drop()


class AsyncWatch(_Watching):
    """A watcher, as `AsyncClient.watch` gives it: an async iterator that waits for what happens.

    Nothing is lost when waiting is cancelled: the next one goes on where this one was. When its client is closed, it
    ends, as any iterator does.
    """

    def __init__(
        self, questions: Questions, query: Pairs, since: str | None, run: Callable[[Plan[Opened]], Awaitable[Opened]]
    ) -> None:
        super().__init__(questions, query, since)
        self._run = run
        self._over = False
        self._waiting: anyio.CancelScope | None = None
        self._response: httpx.Response | None = None
        self._parts: AsyncIterator[bytes] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Watched:
        if not self._over:
            try:
                with anyio.CancelScope() as self._waiting:
                    return await self._told()
            finally:
                self._waiting = None
        raise StopAsyncIteration

    async def _told(self) -> Watched:
        while True:
            try:
                if self._response is None:
                    self._response, address = await self._run(self._plan())
                    self._parts = self._response.aiter_raw()
                    self._begun(address)
                watched = self._next()
                if watched is not None:
                    return watched
                self._events.feed(await self._more())
            except PaulinaError as error:
                await self.aclose()
                await anyio.sleep(self._pause(error))
            except BaseException:
                await self.aclose()
                raise

    async def _more(self) -> bytes:
        try:
            assert self._parts is not None
            return await self._parts.__anext__()
        except StopAsyncIteration:
            raise self._ended() from None
        except (httpx.TransportError, httpx.StreamError) as error:
            raise self._broken(error) from error

    async def aclose(self) -> None:
        """Lets the stream go. Whoever asks on goes on where this was, unless it has ended."""
        response, self._response = self._response, None
        if response is not None:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    async def end(self) -> None:
        """Ends it for good, also where another task waits for what comes next."""
        self._over = True
        if self._waiting is None:
            await self.aclose()
        else:
            # Whoever waits lets the stream go.
            self._waiting.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
