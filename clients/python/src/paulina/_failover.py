"""Sends one request to the first address that can answer it.

The address that answered last is tried first; a standby only for a while, since its data may be old. If the connection
is lost, the request is sent to the same address once more: it may have been a kept connection that the server had
closed. The next address is tried if nothing could be sent, if the response is lost and the request is idempotent, or if
the registry is unavailable (502-504), as a standby is for writes. A request is idempotent if sending it twice has the
effect of sending it once: a refresh, a registration under an id, a deregistration, every read. A registration that must
not replace another one is not: the second attempt would take the first one for another process.

`decide` contains these rules; tests/vectors/failover.json tests that the Rust, Python and TypeScript clients agree.

The generators here contain no I/O: a `Plan` yields the next step and receives its result, so that the synchronous and
the asynchronous client share it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

import httpx

from ._address import Address
from ._errors import (
    ApiError,
    InvalidFilter,
    LeaseReplaced,
    NotARegistry,
    NotRegistered,
    PaulinaError,
    Unreachable,
    Violation,
)
from ._transport import Failure, FailureKind, Reply, Request

T = TypeVar("T")

Decision: TypeAlias = Literal["return", "retry_same", "try_next", "stop"]

STANDBY_PREFERENCE = 30.0
"""How long a standby that answered in place of another address is tried first, in seconds."""


@dataclass(frozen=True, slots=True)
class Send:
    """A step that sends a request; its result is a `Reply` or a `Failure`."""

    index: int
    request: Request
    timeout: float


@dataclass(frozen=True, slots=True)
class Open:
    """A step that opens an event stream; its result is the stream, a `Reply` if there is none, or a `Failure`."""

    index: int
    request: Request
    timeout: float


@dataclass(frozen=True, slots=True)
class Wait:
    """A step that waits."""

    seconds: float


Step: TypeAlias = "Send | Open | Wait"
Plan: TypeAlias = Generator[Step, Any, T]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one attempt, as far as the next step depends on it."""

    kind: Literal["response"] | FailureKind
    status: int = 0
    from_standby: bool = False

    @classmethod
    def of(cls, result: Reply | Failure) -> Outcome:
        """Returns the outcome of a `Send`."""
        if isinstance(result, Failure):
            return cls(result.kind)
        return cls("response", result.status, _is_standby(result.headers))

    @property
    def may_have_been_processed(self) -> bool:
        """Whether the server may have carried out the request although there is no response."""
        return self.kind in ("connection_lost", "unknown")


def decide(outcome: Outcome, *, is_retry: bool, not_idempotent: bool) -> Decision:
    """Decides what follows an attempt. A retry is the second attempt at the same address."""
    if outcome.kind == "response":
        is_unavailable = 502 <= outcome.status <= 504
        # A standby has done nothing. Another server may have: a proxy answers 504 for a request that it passed on.
        return "try_next" if is_unavailable and (outcome.from_standby or not not_idempotent) else "return"
    if outcome.kind == "unsent":
        return "try_next"
    if not_idempotent:
        return "stop"
    return "retry_same" if outcome.kind == "connection_lost" and not is_retry else "try_next"


class AddressOrder:
    """Which address is tried first."""

    def __init__(self) -> None:
        self._primary = 0
        # The standby that answered in place of another address, and until when it is preferred.
        self._preferred_standby: tuple[int, float] | None = None

    def ordered(self, count: int, now: float) -> list[int]:
        """Returns the indexes of all addresses in the order in which they are tried."""
        standby = self._preferred_standby
        first = standby[0] if standby is not None and now < standby[1] else self._primary
        return [(first + offset) % count for offset in range(count)]

    def record_response(self, index: int, now: float, *, from_standby: bool, was_first: bool) -> None:
        """Records which address answered."""
        if not from_standby:
            self._primary, self._preferred_standby = index, None
        elif not was_first:
            # A standby that was tried first gets no more time: a client that sends requests often would never try the
            # primary again.
            self._preferred_standby = index, now + STANDBY_PREFERENCE


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, its address, and whether an earlier attempt may have been processed."""

    reply: Reply
    address: str
    repeated: bool

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""
        return 200 <= self.reply.status < 300

    def read(self, parse: Callable[[Any], T], id: str = "") -> T:
        """Returns the parsed body, or raises the error that the response contains."""
        if not self.ok:
            raise self.error(id)
        try:
            return parse(json.loads(self.reply.body))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            detail = f"unexpected response body ({type(error).__name__}: {error})"
            raise NotARegistry(self.address, detail) from error

    def error(self, id: str = "") -> PaulinaError:
        """Returns the error that the response contains."""
        try:
            problem = json.loads(self.reply.body)
            code, status, detail = _text(problem["code"]), _status(problem["status"]), _text(problem["detail"])
            errors = tuple(Violation(_text(it["pointer"]), _text(it["detail"])) for it in problem.get("errors", ()))
        except (ValueError, KeyError, TypeError, AttributeError):
            return NotARegistry(self.address, f"status {self.reply.status}")
        if code == "not_registered":
            return NotRegistered(id)
        if code == "lease_replaced":
            return LeaseReplaced(id)
        if code == "invalid_query":
            return InvalidFilter(detail)
        return ApiError(code, status, detail, errors)


class Failover:
    """Sends requests to several addresses."""

    def __init__(self, addresses: tuple[Address, ...]) -> None:
        self.addresses = addresses
        self._order, self._lock = AddressOrder(), threading.Lock()

    def __str__(self) -> str:
        return ", ".join(address.text for address in self.addresses)

    def _ordered(self) -> list[int]:
        with self._lock:
            return self._order.ordered(len(self.addresses), time.monotonic())

    def _record_response(self, index: int, headers: httpx.Headers, *, was_first: bool) -> None:
        with self._lock:
            now = time.monotonic()
            self._order.record_response(index, now, from_standby=_is_standby(headers), was_first=was_first)

    def send(self, request: Request, timeout: float) -> Plan[Answer]:
        """Sends a request; the answer may have any status."""
        repeated, unavailable, reason = False, None, ""
        decision: Decision = "try_next"
        for number, index in enumerate(self._ordered()):
            for is_retry in (False, True):
                result: Reply | Failure = yield Send(index, request, timeout)
                outcome = Outcome.of(result)
                decision = decide(outcome, is_retry=is_retry, not_idempotent=request.new_only)
                if isinstance(result, Failure):
                    reason = result.reason
                else:
                    answer = Answer(result, self.addresses[index].text, repeated)
                    if decision == "return":
                        self._record_response(index, result.headers, was_first=number == 0)
                        return answer
                    unavailable = answer
                repeated = repeated or outcome.may_have_been_processed
                if decision != "retry_same":
                    break
            if decision == "stop":
                break
        if unavailable is None:
            raise Unreachable(str(self), reason)
        return unavailable

    def open(self, request: Request, timeout: float) -> Plan[tuple[httpx.Response, str]]:
        """Opens an event stream; returns it and its address."""
        error, reason = None, ""
        for number, index in enumerate(self._ordered()):
            address = self.addresses[index].text
            opened: httpx.Response | Reply | Failure = yield Open(index, request, timeout)
            if isinstance(opened, httpx.Response):
                self._record_response(index, opened.headers, was_first=number == 0)
                return opened, address
            if isinstance(opened, Reply):
                answer = Answer(opened, address, False)
                error = NotARegistry(address, "the response is not an event stream") if answer.ok else answer.error()
            else:
                reason = opened.reason
        raise error or Unreachable(str(self), reason)


def _is_standby(headers: httpx.Headers) -> bool:
    return bool(headers.get("paulina-role") == "standby")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value


def _status(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 65_535:
        raise TypeError(f"{value!r} is not a status")
    return value
