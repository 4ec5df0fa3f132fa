"""A registration that is kept alive by a thread."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING

from ._errors import Unreachable
from ._failover import Pause, Plan, Send
from ._heartbeat_loop import FAREWELL, Beat, Keeper
from ._records import Json, Registered
from ._registration import Fields, body
from ._requests import Questions
from ._transport import SyncWires, unforeseen

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

logger = logging.getLogger("paulina")

_running: set[Heartbeat] = set()


class Heartbeat:
    """A registration that is kept alive in the background, as `Client.keep_alive` gives it.

    It ends when it is stopped, as a context manager does, or when the interpreter exits; not with a signal that kills
    the process, unless the program turns it into an exit: `signal.signal(signal.SIGTERM, lambda *_: sys.exit())`.
    """

    def __init__(self, questions: Questions, wires: SyncWires, body: Json) -> None:
        self._wires = wires
        self._changed = threading.Condition()
        self._stopping = self._awake = False
        self._keeper = Keeper(questions, body, self._tell)
        # A daemon, so that it keeps no program from ending; at its end the server is taken out all the same.
        self._thread = threading.Thread(target=self._run, name=f"paulina {self.id}", daemon=True)
        self._thread.start()
        _running.add(self)

    @property
    def id(self) -> str:
        """The id under which the server is registered."""
        return self._keeper.id

    @property
    def beat(self) -> Beat:
        """How it goes."""
        return self._keeper.beat

    def registered(self, timeout: float | None = None) -> Registered:
        """Waits until the server is registered; raises why it never will be, or, after a time, why it is not yet."""
        with self._changed:
            self._changed.wait_for(lambda: self.beat.settled, timeout)
            return outcome(self.beat, timeout)

    def replace(self, name: str, **fields: Unpack[Fields]) -> None:
        """Registers something else under the same id: what the server can do has changed."""
        wanted = body(name, {**fields, "id": self.id})
        with self._changed:
            self._keeper.wanted, self._awake = wanted, True
            self._changed.notify_all()

    def stop(self) -> None:
        """Takes the server out.

        Returns when that is done, or when the registry has not answered in two seconds: the lease runs out then.
        """
        stop_all([self])

    def _leave(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        _running.discard(self)

    def _left(self, end: float) -> None:
        if threading.current_thread() is not self._thread:
            self._thread.join(max(end - time.monotonic(), 0.0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _tell(self, beat: Beat) -> None:
        with self._changed:
            self._changed.notify_all()

    def _run(self) -> None:
        self._carry_out(self._keeper.run())
        self._carry_out(self._keeper.farewell())

    def _carry_out(self, plan: Plan[None]) -> None:
        step = next(plan, None)
        while step is not None:
            result = None
            if isinstance(step, Pause):
                if not self._waited(step.seconds):
                    return
            elif isinstance(step, Send):
                try:
                    result = self._wires.send(step.index, step.call, step.limit)
                except Exception as error:
                    # Whatever a machine in need does not give: it may give it the next time.
                    logger.debug("a heartbeat of %s was not sent", self.id, exc_info=True)
                    result = unforeseen(error)
            try:
                step = plan.send(result)
            except StopIteration:
                return

    def _waited(self, seconds: float) -> bool:
        """Waits, but no longer than nothing else is wanted; says whether to go on."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._awake, seconds)
            self._awake = False
            return not self._stopping


def stop_all(heartbeats: Iterable[Heartbeat]) -> None:
    """Takes many servers out, in the time that one may take."""
    stopped = list(heartbeats)
    end = time.monotonic() + FAREWELL
    for heartbeat in stopped:
        heartbeat._leave()
    for heartbeat in stopped:
        heartbeat._left(end)


# One for all of them: one after another, they would wait for a registry that hangs as often as there are heartbeats.
atexit.register(lambda: stop_all(_running))


def outcome(beat: Beat, timeout: float | None) -> Registered:
    """What waiting for a registration gives."""
    if beat.state == "alive" and beat.registered is not None:
        return beat.registered
    raise beat.error or Unreachable("its addresses", f"no answer within {timeout:g} s")
