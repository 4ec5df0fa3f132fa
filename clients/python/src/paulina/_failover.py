"""One question to whichever of the addresses answers.

The address that answered last is asked first (a standby only for a while, since it may be behind), and once more if
the connection breaks off: it may be one that was kept and that the other side had given up. Another one is asked when
nothing could be sent, when the answer is lost and asking twice does no harm, or when the registry there cannot do it
now (502-504): it is a standby, say, which has done nothing. Asking twice does no harm when the second time finds the
first one done: a refresh, a registration under an id, a deregistration, every read. Only "if the id is not taken" would
take the first time for somebody else.

What is written here is written once: a `Plan` says what to send next and is told what came of it, and the two clients
carry it out, one with threads and one with asyncio.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import httpx

from ._address import Address
from ._errors import (
    InvalidFilter,
    LeaseReplaced,
    NotARegistry,
    NotRegistered,
    PaulinaError,
    Refused,
    Unreachable,
    Violation,
)
from ._transport import Call, Failure, Kind, Reply

T = TypeVar("T")

STANDING_IN = 30.0
"""How long a standby that has answered is asked before anybody else."""


@dataclass(frozen=True, slots=True)
class Send:
    """To be sent; a `Reply` or a `Failure` comes of it."""

    index: int
    call: Call
    limit: float


@dataclass(frozen=True, slots=True)
class Open:
    """To be sent; a stream that begins comes of it, a `Reply` that refuses, or a `Failure`."""

    index: int
    call: Call
    limit: float


@dataclass(frozen=True, slots=True)
class Pause:
    """To be waited for."""

    seconds: float


Step: TypeAlias = "Send | Open | Pause"
Plan: TypeAlias = Generator[Step, Any, T]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, from whom, and whether an earlier try may have been carried out already."""

    reply: Reply
    address: str
    repeated: bool

    @property
    def ok(self) -> bool:
        """Whether it says yes."""
        return 200 <= self.reply.status < 300

    def read(self, parse: Callable[[Any], T], id: str = "") -> T:
        """What it says, if it says yes."""
        if not self.ok:
            raise self.refusal(id)
        try:
            return parse(json.loads(self.reply.body))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            detail = f"its answer cannot be read ({type(error).__name__}: {error})"
            raise NotARegistry(self.address, detail) from error

    def refusal(self, id: str = "") -> PaulinaError:
        """Why it says no."""
        try:
            problem = json.loads(self.reply.body)
            code, status, detail = str(problem["code"]), int(problem["status"]), str(problem["detail"])
            errors = tuple(Violation(it["pointer"], it["detail"]) for it in problem.get("errors", ()))
        except (ValueError, KeyError, TypeError, AttributeError):
            return NotARegistry(self.address, f"status {self.reply.status}")
        if code == "not_registered":
            return NotRegistered(id)
        if code == "lease_replaced":
            return LeaseReplaced(id)
        if code == "invalid_query":
            return InvalidFilter(detail)
        return Refused(code, status, detail, errors)


class Exchange:
    """The addresses, and which of them is asked first."""

    def __init__(self, addresses: tuple[Address, ...]) -> None:
        self.addresses = addresses
        # The one that answered last, standbys left aside; and a standby that has stood in for it, and until when.
        self._first, self._instead, self._until = 0, 0, 0.0
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return ", ".join(address.text for address in self.addresses)

    def _in_turn(self) -> Iterator[int]:
        with self._lock:
            first = self._instead if time.monotonic() < self._until else self._first
        count = len(self.addresses)
        return ((first + number) % count for number in range(count))

    def _answered(self, index: int, headers: httpx.Headers, *, stands_in: bool) -> None:
        with self._lock:
            if not _by_standby(headers):
                self._first, self._until = index, 0.0
            elif stands_in:
                # What it is asked as the first makes that no longer: who asks often would stay with it for ever.
                self._instead, self._until = index, time.monotonic() + STANDING_IN

    def ask(self, call: Call, limit: float) -> Plan[Answer]:
        """Asks; the answer has any status."""
        repeated, busy, reason = False, None, ""
        for number, index in enumerate(self._in_turn()):
            sent: Reply | Failure = yield Send(index, call, limit)
            if isinstance(sent, Failure) and sent.kind is Kind.BROKEN and not call.new_only:
                repeated = True
                sent = yield Send(index, call, limit)
            if isinstance(sent, Reply):
                elsewhere = 502 <= sent.status <= 504
                answer = Answer(sent, self.addresses[index].text, repeated)
                if not elsewhere or (call.new_only and not _by_standby(sent.headers)):
                    self._answered(index, sent.headers, stands_in=number > 0)
                    return answer
                busy = answer
                continue
            reason = sent.reason
            if sent.kind is not Kind.UNSENT:
                if call.new_only:
                    break
                repeated = True
        if busy is None:
            raise Unreachable(str(self), reason)
        return busy

    def open(self, call: Call, limit: float) -> Plan[tuple[httpx.Response, str]]:
        """Asks for a stream; gives it, and from whom it comes."""
        refused, reason = None, ""
        for number, index in enumerate(self._in_turn()):
            address = self.addresses[index].text
            opened: httpx.Response | Reply | Failure = yield Open(index, call, limit)
            if isinstance(opened, httpx.Response):
                self._answered(index, opened.headers, stands_in=number > 0)
                return opened, address
            if isinstance(opened, Reply):
                refused = Answer(opened, address, False).refusal()
            else:
                reason = opened.reason
        raise refused or Unreachable(str(self), reason)


def _by_standby(headers: httpx.Headers) -> bool:
    return bool(headers.get("paulina-role") == "standby")
