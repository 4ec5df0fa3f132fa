"""A registration that a thread keeps alive."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING

from ._errors import Unreachable
from ._failover import Plan, Send, Wait
from ._heartbeat_loop import SHUTDOWN_TIMEOUT, HeartbeatStatus, HeartbeatTask
from ._records import Json, Registered
from ._registration import Fields, body
from ._requests import Requests
from ._transport import SyncTransport, unexpected_failure

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

logger = logging.getLogger("paulina")

_running: set[Heartbeat] = set()


class Heartbeat:
    """A registration that is kept alive in the background; returned by `Client.keep_alive`.

    It ends when it is stopped, at the end of its `with` block, and when the interpreter exits. A signal that kills the
    process does not end it, unless the program exits on it: `signal.signal(signal.SIGTERM, lambda *_: sys.exit())`.
    """

    def __init__(self, requests: Requests, transport: SyncTransport, body: Json) -> None:
        self._transport = transport
        self._changed = threading.Condition()
        self._stopping = self._woken = False
        self._heartbeat_task = HeartbeatTask(requests, body, self._on_status)
        # A daemon thread does not delay the exit of a program, which deregisters the server nevertheless.
        self._thread = threading.Thread(target=self._run, name=f"paulina {self.id}", daemon=True)
        self._thread.start()
        _running.add(self)

    @property
    def id(self) -> str:
        """The id of the registration."""
        return self._heartbeat_task.id

    @property
    def status(self) -> HeartbeatStatus:
        """The current status."""
        return self._heartbeat_task.status

    def registered(self, timeout: float | None = None) -> Registered:
        """Waits until the server is registered; raises an error that waiting does not fix, or the last at `timeout`."""
        with self._changed:
            self._changed.wait_for(lambda: self.status.settled, timeout)
            return result_of(self.status, timeout)

    def replace(self, name: str, **fields: Unpack[Fields]) -> None:
        """Replaces the registration under the same id, for example when the tools of the server have changed."""
        wanted = body(name, {**fields, "id": self.id})
        with self._changed:
            self._heartbeat_task.wanted, self._woken = wanted, True
            self._changed.notify_all()

    def stop(self) -> None:
        """Deregisters the server.

        Returns when that is done, or after two seconds if the registry does not answer: then the lease expires.
        """
        stop_all([self])

    def _begin_stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        _running.discard(self)

    def _join(self, end: float) -> None:
        if threading.current_thread() is not self._thread:
            self._thread.join(max(end - time.monotonic(), 0.0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _on_status(self, status: HeartbeatStatus) -> None:
        with self._changed:
            self._changed.notify_all()

    def _run(self) -> None:
        self._perform(self._heartbeat_task.run())
        self._perform(self._heartbeat_task.shut_down())

    def _perform(self, plan: Plan[None]) -> None:
        step = next(plan, None)
        while step is not None:
            result = None
            if isinstance(step, Wait):
                if not self._wait(step.seconds):
                    return
            elif isinstance(step, Send):
                try:
                    result = self._transport.send(step.index, step.request, step.timeout)
                except Exception as error:
                    # Whatever resource the machine lacks, it may have it the next time.
                    logger.debug("cannot send a heartbeat of %s", self.id, exc_info=True)
                    result = unexpected_failure(error)
            try:
                step = plan.send(result)
            except StopIteration:
                return

    def _wait(self, seconds: float) -> bool:
        """Waits, unless another registration is wanted; returns whether to continue."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._woken, seconds)
            self._woken = False
            return not self._stopping


def stop_all(heartbeats: Iterable[Heartbeat]) -> None:
    """Stops many heartbeats, in the time that one may take."""
    stopped = list(heartbeats)
    end = time.monotonic() + SHUTDOWN_TIMEOUT
    for heartbeat in stopped:
        heartbeat._begin_stop()
    for heartbeat in stopped:
        heartbeat._join(end)


# One function for all heartbeats: each would wait for a registry that does not answer, one after another.
atexit.register(lambda: stop_all(_running))


def result_of(status: HeartbeatStatus, timeout: float | None) -> Registered:
    """Returns the registration, or raises why there is none."""
    if status.state == "alive" and status.registered is not None:
        return status.registered
    raise status.error or Unreachable("its addresses", f"no response within {timeout:g} s")
