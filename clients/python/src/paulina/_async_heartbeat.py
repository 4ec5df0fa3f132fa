"""A registration that is kept alive by a task."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from types import TracebackType
from typing import TYPE_CHECKING

import anyio

from ._failover import Pause, Plan, Send
from ._heartbeat import outcome
from ._heartbeat_loop import FAREWELL, Beat, Keeper
from ._records import Json, Registered
from ._registration import Fields, body
from ._requests import Questions
from ._transport import AsyncWires, unforeseen

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

logger = logging.getLogger("paulina")

# The loop holds tasks weakly, and this one goes on although nobody keeps its handle.
_running: set[asyncio.Task[None]] = set()


class AsyncHeartbeat:
    """A registration that is kept alive in the background, as `AsyncClient.keep_alive` gives it.

    It ends when it is stopped, as an async context manager does, and when its task is cancelled, as at the end of
    `asyncio.run`.
    """

    def __init__(self, questions: Questions, wires: AsyncWires, body: Json) -> None:
        self._wires = wires
        self._told, self._awake, self._stopping = asyncio.Event(), asyncio.Event(), False
        self._keeper = Keeper(questions, body, self._tell)
        self._task = asyncio.create_task(self._run(), name=f"paulina {self.id}")
        _running.add(self._task)
        self._task.add_done_callback(_running.discard)

    @property
    def id(self) -> str:
        """The id under which the server is registered."""
        return self._keeper.id

    @property
    def beat(self) -> Beat:
        """How it goes."""
        return self._keeper.beat

    @property
    def to_deregister(self) -> Registered | str | None:
        """What a process deregisters that ends now, before its event loop runs again."""
        return self._keeper.to_deregister

    async def registered(self, timeout: float | None = None) -> Registered:
        """Waits until the server is registered; raises why it never will be, or, after a time, why it is not yet."""
        with anyio.move_on_after(timeout):
            while not self.beat.settled:
                await self._told.wait()
        return outcome(self.beat, timeout)

    def replace(self, name: str, **fields: Unpack[Fields]) -> None:
        """Registers something else under the same id: what the server can do has changed."""
        wanted = body(name, {**fields, "id": self.id})
        self._keeper.wanted = wanted
        self._awake.set()

    async def stop(self) -> None:
        """Takes the server out.

        Returns when that is done, or when the registry has not answered in two seconds: the lease runs out then.
        """
        self._stopping = True
        self._awake.set()
        # What is on its way may be done: it is better known under which lease.
        done, _ = await asyncio.wait({self._task}, timeout=FAREWELL / 2)
        if not done:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=FAREWELL / 2)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _tell(self, beat: Beat) -> None:
        # Whoever waits is woken, and the next ones wait for the next beat.
        self._told.set()
        self._told = asyncio.Event()

    async def _run(self) -> None:
        try:
            await self._carry_out(self._keeper.run())
        finally:
            await self._leave()

    async def _leave(self) -> None:
        # The end of `asyncio.run` cancels every task, and may hit one that is leaving already: then it does so again.
        for _ in range(2):
            with contextlib.suppress(asyncio.CancelledError), anyio.move_on_after(FAREWELL / 2):
                await self._carry_out(self._keeper.farewell())
                break

    async def _carry_out(self, plan: Plan[None]) -> None:
        step = next(plan, None)
        while step is not None:
            result = None
            if isinstance(step, Pause):
                if not await self._waited(step.seconds):
                    return
            elif isinstance(step, Send):
                try:
                    result = await self._wires.send(step.index, step.call, step.limit)
                except Exception as error:
                    # Whatever a machine in need does not give: it may give it the next time.
                    logger.debug("a heartbeat of %s was not sent", self.id, exc_info=True)
                    result = unforeseen(error)
            try:
                step = plan.send(result)
            except StopIteration:
                return

    async def _waited(self, seconds: float) -> bool:
        """Waits, but no longer than nothing else is wanted; says whether to go on."""
        if not self._stopping:
            with anyio.move_on_after(seconds):
                await self._awake.wait()
            self._awake.clear()
        return not self._stopping
