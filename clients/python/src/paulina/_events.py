"""Server-sent events out of the bytes of an answer.

<https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple


class Event(NamedTuple):
    """One event."""

    kind: str
    data: str


class Events:
    """Takes bytes as they come, and gives events when they are whole."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._kind, self._data = "", list[str]()
        self._ready: deque[Event] = deque()

    def next(self) -> Event | None:
        """The next event that is whole."""
        return self._ready.popleft() if self._ready else None

    def feed(self, data: bytes) -> None:
        """Takes what has come."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._take((bytes(self._rest) + line).decode(errors="replace").removesuffix("\r"))
            self._rest.clear()
        self._rest += rest

    def _take(self, line: str) -> None:
        if not line:
            if self._data:
                self._ready.append(Event(self._kind, "\n".join(self._data)))
            self._kind, self._data = "", []
            return
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._kind = value
        elif field == "data":
            self._data.append(value)
        # Others are comments, or what the data say themselves.
