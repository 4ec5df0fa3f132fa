"""Leaving the registry when the process is told to end.

A signal does what it did before, and what is announced is taken out first. Where nothing else minds the signal it kills
the process at once, without a turn of the event loop (which may be busy): then the servers are taken out on the spot.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections import Counter
from types import FrameType
from typing import Any, Protocol

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Leaving(Protocol):
    """Who is told of a signal."""

    def leave(self) -> None:
        """Begins to leave; there is time."""

    def leave_now(self) -> None:
        """Leaves; the process ends after this."""


class Signals:
    """The handlers of this process, while somebody is to be told."""

    def __init__(self) -> None:
        self._told: list[Leaving] = []
        # The last one stands last. They stay: somebody who has set another one over ours may call ours at any time.
        self._before: dict[signal.Signals, list[Any]] = {}
        self._inside: Counter[signal.Signals] = Counter()

    def tell(self, who: Leaving) -> None:
        """Tells somebody from now on. Only the main thread may set handlers; what runs in another one is not told."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._told.append(who)
        for number in SIGNALS:
            before = signal.getsignal(number)
            # What this process was started to ignore stays ignored; what is no handler of Python's cannot be called.
            if before != self._handle and before not in (signal.SIG_IGN, None):
                older = [handler for handler in self._before.get(number, ()) if handler != before]
                self._before[number] = [*older, before]
                signal.signal(number, self._handle)

    def forget(self, who: Leaving) -> None:
        """Tells somebody no more."""
        if who not in self._told:
            return
        self._told.remove(who)
        if not self._told:
            for number, before in self._before.items():
                # Somebody may have set another one since.
                if signal.getsignal(number) == self._handle:
                    signal.signal(number, before[-1] if len(before) == 1 else before.pop())

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # What was set over ours, and then found by us, may call ours again: it is followed by what was there before it.
        called = signal.Signals(number)
        handlers = self._before.get(called) or [signal.SIG_DFL]
        before = handlers[max(-1 - self._inside[called], -len(handlers))]
        if callable(before):
            for who in list(self._told):
                who.leave()
            self._inside[called] += 1
            try:
                before(number, frame)
            finally:
                self._inside[called] -= 1
            return
        for who in list(self._told):
            with contextlib.suppress(Exception):
                who.leave_now()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


signals = Signals()
