"""Watches a registry, and reconnects without gaps or duplicates."""

from __future__ import annotations

import contextlib
import json
import logging
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
from ._heartbeat_loop import shortened
from ._records import WatchEvent
from ._requests import Requests
from ._transport import STREAM_TIMEOUT, root_cause

if TYPE_CHECKING:
    from typing_extensions import Self

logger = logging.getLogger("paulina")

INITIAL_RECONNECT_WAIT = 0.1
"""The wait after the first failure, in seconds; it doubles with each further failure, up to the limit."""
RECONNECT_WAIT_LIMIT = 5.0
MAX_DOUBLINGS = 10

Opened: TypeAlias = "tuple[httpx.Response, str]"


def reconnect_wait(failures: int) -> float:
    """Returns how long to wait after so many earlier failures in a row, in seconds."""
    return min(INITIAL_RECONNECT_WAIT * 2.0 ** min(failures, MAX_DOUBLINGS), RECONNECT_WAIT_LIMIT)


class _WatchState:
    """The query of a watch, and its position in the stream."""

    def __init__(self, requests: Requests, query: Pairs, since: str | None) -> None:
        self._requests, self._query = requests, query
        self.since = since
        """The revision of the last event; a later watch can resume after it."""
        self._failures = 0
        self._events, self._address = Events(), ""

    def _plan(self) -> Plan[Opened]:
        return self._requests.watch(self._query, self.since)

    def _on_open(self, address: str) -> None:
        self._events, self._address = Events(), address

    def _next(self) -> WatchEvent | None:
        """Returns the next event that has arrived completely."""
        event = self._events.next()
        if event is None:
            return None
        try:
            watch_event = records.watch_event(event.kind, json.loads(event.data))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NotARegistry(self._address, f"unexpected event {event.kind!r}: {error!r}") from error
        self.since, self._failures = watch_event.revision, 0
        return watch_event

    def _lost(self, error: Exception) -> Unreachable:
        is_silent = isinstance(error, httpx.TimeoutException)
        reason = f"no data for {STREAM_TIMEOUT:g} s" if is_silent else root_cause(error)
        return Unreachable(self._address, reason)

    def _ended(self) -> Unreachable:
        return Unreachable(self._address, "the stream ended")

    def _wait_after(self, error: PaulinaError) -> float:
        """Returns how long to wait before reconnecting; raises an error that waiting does not fix."""
        # After the first event, a proxy may answer for a registry that is down; before it, the address is wrong.
        if not error.temporary or (isinstance(error, NotARegistry) and self.since is None):
            raise error
        logger.debug("the stream was lost; reconnecting: %s", error)
        wait = shortened(reconnect_wait(self._failures), 50)
        self._failures += 1
        return wait


class Watch(_WatchState):
    """An iterator of events, which waits for the next one; returned by `Client.watch`.

    Another thread may close it, or its client: then the iteration ends.
    """

    def __init__(
        self, requests: Requests, query: Pairs, since: str | None, run: Callable[[Plan[Opened]], Opened]
    ) -> None:
        super().__init__(requests, query, since)
        self._run, self._closed = run, threading.Event()
        self._response: httpx.Response | None = None
        self._parts: Iterator[bytes] = iter(())

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> WatchEvent:
        while not self._closed.is_set():
            try:
                if self._response is None:
                    self._response, address = self._run(self._plan())
                    self._parts = self._response.iter_raw()
                    self._on_open(address)
                    continue
                event = self._next()
                if event is not None:
                    return event
                self._events.feed(self._receive())
            except PaulinaError as error:
                self._drop()
                self._closed.wait(self._wait_after(error))
            except BaseException:
                self._drop()
                raise
        self._drop()
        raise StopIteration

    def _receive(self) -> bytes:
        try:
            return next(self._parts)
        except StopIteration:
            raise self._ended() from None
        except (httpx.TransportError, httpx.StreamError) as error:
            raise self._lost(error) from error

    def _drop(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None

    def close(self) -> None:
        """Ends the watch, even while another thread waits for an event."""
        self._closed.set()
        response = self._response
        stream = None if response is None else response.extensions.get("network_stream")
        connection = None if stream is None else stream.get_extra_info("socket")
        if connection is not None:
            # Only closing it would not wake a thread that reads from it.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._drop()


class AsyncWatch(_WatchState):
    """An async iterator of events, which waits for the next one; returned by `AsyncClient.watch`.

    If waiting is canceled, no event is lost: the next call continues. When the client is closed, the iteration ends.
    """

    def __init__(
        self, requests: Requests, query: Pairs, since: str | None, run: Callable[[Plan[Opened]], Awaitable[Opened]]
    ) -> None:
        super().__init__(requests, query, since)
        self._run = run
        self._ended_for_good = False
        self._waiting: anyio.CancelScope | None = None
        self._response: httpx.Response | None = None
        self._parts: AsyncIterator[bytes] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WatchEvent:
        if not self._ended_for_good:
            try:
                with anyio.CancelScope() as self._waiting:
                    return await self._next_event()
            finally:
                self._waiting = None
        raise StopAsyncIteration

    async def _next_event(self) -> WatchEvent:
        while True:
            try:
                if self._response is None:
                    self._response, address = await self._run(self._plan())
                    self._parts = self._response.aiter_raw()
                    self._on_open(address)
                event = self._next()
                if event is not None:
                    return event
                self._events.feed(await self._receive())
            except PaulinaError as error:
                await self.aclose()
                await anyio.sleep(self._wait_after(error))
            except BaseException:
                await self.aclose()
                raise

    async def _receive(self) -> bytes:
        try:
            assert self._parts is not None
            return await self._parts.__anext__()
        except StopAsyncIteration:
            raise self._ended() from None
        except (httpx.TransportError, httpx.StreamError) as error:
            raise self._lost(error) from error

    async def aclose(self) -> None:
        """Closes the stream. The next iteration reopens it after the last event, unless the watch has ended."""
        response, self._response = self._response, None
        if response is not None:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    async def end(self) -> None:
        """Ends the watch permanently, even while another task waits for an event."""
        self._ended_for_good = True
        if self._waiting is None:
            await self.aclose()
        else:
            # The task that waits closes the stream.
            self._waiting.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
