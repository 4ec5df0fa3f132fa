"""A parser for server-sent events.

<https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>
"""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple

_LINE_END = re.compile(rb"\r\n?|\n")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """An event."""

    kind: str
    """The field `event`; empty if there is none."""
    data: str


class Events:
    """A parser that takes bytes as they arrive and returns complete events."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._is_first_line, self._after_cr = True, False
        self._kind, self._data = "", list[str]()
        self._ready: deque[Event] = deque()

    def next(self) -> Event | None:
        """Returns the next complete event."""
        return self._ready.popleft() if self._ready else None

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the stream."""
        if not data:
            return
        if self._after_cr:
            # A CR ended the line in the chunk before: its LF does not end another one.
            data = data.removeprefix(b"\n")
        self._after_cr = data.endswith(b"\r")
        *lines, rest = _LINE_END.split(data)
        for line in lines:
            self._take_line(bytes(self._line) + line)
            self._line.clear()
        self._line += rest

    def _take_line(self, line: bytes) -> None:
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            if self._data:
                self._ready.append(Event(self._kind, "\n".join(self._data)))
            self._kind, self._data = "", []
            return
        field, _, value = line.decode(errors="replace").partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._kind = value
        elif field == "data":
            self._data.append(value)
        # Comments and all other fields are ignored: the data contain the revision that `id` repeats.
