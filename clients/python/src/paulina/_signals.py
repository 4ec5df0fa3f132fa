"""Deregisters announced servers when a signal ends the process.

A signal keeps its effect; the servers are deregistered before. If no other handler is set, the signal kills the process
at once, without another turn of the event loop (which may be busy): then the servers are deregistered synchronously.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections import Counter
from types import FrameType
from typing import Any, Protocol

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class ShutdownParticipant(Protocol):
    """An object that is notified of a signal."""

    def begin_shutdown(self) -> None:
        """Starts to deregister; the event loop continues."""

    def shut_down_now(self) -> None:
        """Deregisters synchronously; the process ends afterwards."""


class Signals:
    """The signal handlers of this process, while there are participants."""

    def __init__(self) -> None:
        self._participants: list[ShutdownParticipant] = []
        # The handlers before ours, the latest one last. They are kept: a handler that was set later may call ours.
        self._previous: dict[signal.Signals, list[Any]] = {}
        self._depth: Counter[signal.Signals] = Counter()

    def add(self, participant: ShutdownParticipant) -> None:
        """Adds a participant. Only the main thread can set handlers; participants of other threads are ignored."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._participants.append(participant)
        for number in SIGNALS:
            previous = signal.getsignal(number)
            # An ignored signal stays ignored; a handler that was not set from Python cannot be called.
            if previous != self._handle and previous not in (signal.SIG_IGN, None):
                older = [handler for handler in self._previous.get(number, ()) if handler != previous]
                self._previous[number] = [*older, previous]
                signal.signal(number, self._handle)

    def remove(self, participant: ShutdownParticipant) -> None:
        """Removes a participant."""
        if participant not in self._participants:
            return
        self._participants.remove(participant)
        if not self._participants:
            for number, previous in self._previous.items():
                # Another handler may have been set since.
                if signal.getsignal(number) == self._handle:
                    signal.signal(number, previous[-1] if len(previous) == 1 else previous.pop())

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # A handler that was set between two of ours may call ours again: then the one before it is called.
        received = signal.Signals(number)
        handlers = self._previous.get(received) or [signal.SIG_DFL]
        previous = handlers[max(-1 - self._depth[received], -len(handlers))]
        if callable(previous):
            for participant in list(self._participants):
                participant.begin_shutdown()
            self._depth[received] += 1
            try:
                previous(number, frame)
            finally:
                self._depth[received] -= 1
            return
        for participant in list(self._participants):
            with contextlib.suppress(Exception):
                participant.shut_down_now()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


signals = Signals()
