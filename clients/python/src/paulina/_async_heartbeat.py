"""A registration that a task keeps alive."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from types import TracebackType
from typing import TYPE_CHECKING

import anyio

from ._failover import Plan, Send, Wait
from ._heartbeat import result_of
from ._heartbeat_loop import SHUTDOWN_TIMEOUT, HeartbeatStatus, HeartbeatTask
from ._records import Json, Registered
from ._registration import Fields, body
from ._requests import Requests
from ._transport import AsyncTransport, unexpected_failure

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

logger = logging.getLogger("paulina")

# The event loop references tasks weakly, and this one must continue if the caller drops the heartbeat.
_running: set[asyncio.Task[None]] = set()


class AsyncHeartbeat:
    """A registration that is kept alive in the background; returned by `AsyncClient.keep_alive`.

    It ends when it is stopped, at the end of its `async with` block, and when its task is canceled, as at the end of
    `asyncio.run`.
    """

    def __init__(self, requests: Requests, transport: AsyncTransport, body: Json) -> None:
        self._transport = transport
        self._changed, self._woken, self._stopping = asyncio.Event(), asyncio.Event(), False
        self._heartbeat_task = HeartbeatTask(requests, body, self._on_status)
        self._task = asyncio.create_task(self._run(), name=f"paulina {self.id}")
        _running.add(self._task)
        self._task.add_done_callback(_running.discard)

    @property
    def id(self) -> str:
        """The id of the registration."""
        return self._heartbeat_task.id

    @property
    def status(self) -> HeartbeatStatus:
        """The current status."""
        return self._heartbeat_task.status

    @property
    def to_deregister(self) -> Registered | str | None:
        """What to deregister if the process ends now, before its event loop runs again."""
        return self._heartbeat_task.to_deregister

    async def registered(self, timeout: float | None = None) -> Registered:
        """Waits until the server is registered; raises an error that waiting does not fix, or the last at `timeout`."""
        with anyio.move_on_after(timeout):
            while not self.status.settled:
                await self._changed.wait()
        return result_of(self.status, timeout)

    def replace(self, name: str, **fields: Unpack[Fields]) -> None:
        """Replaces the registration under the same id, for example when the tools of the server have changed."""
        wanted = body(name, {**fields, "id": self.id})
        self._heartbeat_task.wanted = wanted
        self._woken.set()

    async def stop(self) -> None:
        """Deregisters the server.

        Returns when that is done, or after two seconds if the registry does not answer: then the lease expires.
        """
        self._stopping = True
        self._woken.set()
        # A registration may be in flight: its response contains the lease to deregister.
        done, _ = await asyncio.wait({self._task}, timeout=SHUTDOWN_TIMEOUT / 2)
        if not done:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=SHUTDOWN_TIMEOUT / 2)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _on_status(self, status: HeartbeatStatus) -> None:
        # Wakes all that wait; later calls wait for the next status.
        self._changed.set()
        self._changed = asyncio.Event()

    async def _run(self) -> None:
        try:
            await self._perform(self._heartbeat_task.run())
        finally:
            await self._shut_down()

    async def _shut_down(self) -> None:
        # The end of `asyncio.run` cancels every task, maybe one that is shutting down already: then it starts over.
        for _ in range(2):
            with contextlib.suppress(asyncio.CancelledError), anyio.move_on_after(SHUTDOWN_TIMEOUT / 2):
                await self._perform(self._heartbeat_task.shut_down())
                break

    async def _perform(self, plan: Plan[None]) -> None:
        step = next(plan, None)
        while step is not None:
            result = None
            if isinstance(step, Wait):
                if not await self._wait(step.seconds):
                    return
            elif isinstance(step, Send):
                try:
                    result = await self._transport.send(step.index, step.request, step.timeout)
                except Exception as error:
                    # Whatever resource the machine lacks, it may have it the next time.
                    logger.debug("cannot send a heartbeat of %s", self.id, exc_info=True)
                    result = unexpected_failure(error)
            try:
                step = plan.send(result)
            except StopIteration:
                return

    async def _wait(self, seconds: float) -> bool:
        """Waits, unless another registration is wanted; returns whether to continue."""
        if not self._stopping:
            with anyio.move_on_after(seconds):
                await self._woken.wait()
            self._woken.clear()
        return not self._stopping
