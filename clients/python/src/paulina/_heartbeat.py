"""A registration that is kept alive by a thread."""

from __future__ import annotations

import atexit
import threading
from types import TracebackType
from typing import TYPE_CHECKING

from ._errors import Unreachable
from ._exchange import Pause, Plan, Send
from ._keeper import FAREWELL, Beat, Keeper
from ._questions import Questions
from ._records import Json, Registered
from ._registration import Fields, body
from ._wire import SyncWires

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack


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
        atexit.register(self.stop)

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
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        atexit.unregister(self.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join(FAREWELL)

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
                result = self._wires.send(step.index, step.call, step.limit)
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


def outcome(beat: Beat, timeout: float | None) -> Registered:
    """What waiting for a registration gives."""
    if beat.state == "alive" and beat.registered is not None:
        return beat.registered
    raise beat.error or Unreachable("its addresses", f"no answer within {timeout:g} s")
