"""HTTP to one address of a registry, asked synchronously or not.

The transports of httpx are used directly, without its client on top: no redirects and cookies, no proxy out of the
environment between a program and its registry, and no line in the program's log for every heartbeat.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias
from urllib.parse import quote, urlencode

import anyio
import httpx

from ._address import Address, trust
from ._version import __version__

LARGEST = 64 * 1024 * 1024
"""The largest answer that is read: a page of servers in full ends at 16 MiB, plus the last server."""
SILENCE = 40.0
"""A registry that is watched says every 15 s that it is there."""
CONNECT = 5.0
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=8, keepalive_expiry=60)


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked."""

    method: str
    path: tuple[str, ...]
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    new_only: bool = False
    """Only if the id is not taken."""
    since: str | None = None
    """The last event that was seen."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered."""

    status: int
    headers: httpx.Headers
    body: bytes


class Kind(Enum):
    """How far a call came that was not answered."""

    UNSENT = "nothing was sent"
    BROKEN = "the connection broke off, perhaps one that was kept and that the other side had given up"
    UNKNOWN = "it may have been carried out"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer."""

    kind: Kind
    reason: str


Sent: TypeAlias = "Reply | Failure"


def request(address: Address, call: Call, token: str | None, limit: float) -> httpx.Request:
    """A call, as it is sent to an address."""
    url = "/".join([address.base, *(quote(part, safe="") for part in call.path)])
    if call.query:
        url = f"{url}?{urlencode(call.query, quote_via=quote)}"
    headers = {"user-agent": f"paulina-python/{__version__}"}
    if token is not None:
        headers["authorization"] = token
    if call.new_only:
        headers["if-none-match"] = "*"
    if call.since is not None:
        headers["last-event-id"] = call.since
    if call.body is not None:
        headers["content-type"] = "application/json"
    return httpx.Request(call.method, url, headers=headers, content=call.body, extensions={"timeout": timeouts(limit)})


def timeouts(limit: float) -> dict[str, float | None]:
    """How long each part may take. httpx counts each read by itself; the whole is counted by who asks."""
    return httpx.Timeout(limit, connect=min(CONNECT, limit)).as_dict()


def begun(asked: httpx.Request) -> None:
    """Lets a stream be silent for longer than its beginning may take: httpcore looks the time up anew for the body."""
    asked.extensions["timeout"]["read"] = SILENCE


def failure(error: Exception, limit: float) -> Failure:
    """What an error in asking means."""
    reason = innermost(error)
    if isinstance(error, httpx.ConnectTimeout):
        return Failure(Kind.UNSENT, f"no connection within {min(CONNECT, limit):g} s")
    if isinstance(error, (httpx.ConnectError, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.LocalProtocolError)):
        return Failure(Kind.UNSENT, reason)
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return Failure(Kind.UNKNOWN, f"no answer within {limit:g} s")
    return Failure(Kind.BROKEN, reason)


def unforeseen(error: Exception) -> Failure:
    """What an error means that is none of the network's: no thread to look a name up, say."""
    return Failure(Kind.UNKNOWN, f"{type(error).__name__}: {error}")


def broken_off(error: Exception, limit: float) -> Failure:
    """What an error in reading an answer means."""
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return failure(error, limit)
    return Failure(Kind.UNKNOWN, f"the answer broke off: {innermost(error)}")


def innermost(error: BaseException) -> str:
    """What the error at the root says, which is most."""
    while True:
        # What httpcore wraps it does not always name as the cause.
        wraps = type(error).__module__.startswith("httpcore")
        deeper = error.__cause__ or (error.__context__ if wraps else None)
        if deeper is None or not str(deeper):
            break
        error = deeper
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


TOO_LARGE = Failure(Kind.UNKNOWN, "the answer is larger than 64 MiB")


class SyncWires:
    """All addresses, with connections that are kept."""

    def __init__(self, given: tuple[Address, ...], token: str | None) -> None:
        self._addresses, self._token, context = given, token, trust(given)
        self._transports = [
            httpx.HTTPTransport(verify=context, trust_env=False, limits=LIMITS, uds=address.socket) for address in given
        ]

    def send(self, index: int, call: Call, limit: float) -> Sent:
        """Asks, and reads the whole answer."""
        end = time.monotonic() + limit
        response = self._answer(index, request(self._addresses[index], call, self._token, limit), limit)
        return response if isinstance(response, Failure) else _read(response, end, limit)

    def open(self, index: int, call: Call, limit: float) -> httpx.Response | Sent:
        """Asks, and leaves an answer of 200 to be read."""
        asked = request(self._addresses[index], call, self._token, limit)
        response = self._answer(index, asked, limit)
        if isinstance(response, Failure):
            return response
        if response.status_code == 200:
            begun(asked)
            return response
        return _read(response, time.monotonic() + limit, limit)

    def _answer(self, index: int, asked: httpx.Request, limit: float) -> httpx.Response | Failure:
        try:
            return self._transports[index].handle_request(asked)
        except httpx.TransportError as error:
            return failure(error, limit)

    def close(self) -> None:
        """Closes all connections."""
        for transport in self._transports:
            transport.close()


def _read(response: httpx.Response, end: float, limit: float) -> Sent:
    body = bytearray()
    try:
        for part in response.iter_raw():
            body += part
            if len(body) > LARGEST:
                return TOO_LARGE
            if time.monotonic() > end:
                return failure(TimeoutError(), limit)
    except (httpx.TransportError, httpx.StreamError) as error:
        return broken_off(error, limit)
    finally:
        response.close()
    return Reply(response.status_code, response.headers, bytes(body))


class AsyncWires:
    """All addresses, with connections that are kept."""

    def __init__(self, given: tuple[Address, ...], token: str | None) -> None:
        self._addresses, self._token, context = given, token, trust(given)
        self._transports = [
            httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=LIMITS, uds=address.socket)
            for address in given
        ]

    async def send(self, index: int, call: Call, limit: float) -> Sent:
        """Asks, and reads the whole answer."""
        try:
            with anyio.fail_after(limit):
                asked = request(self._addresses[index], call, self._token, limit)
                response = await self._answer(index, asked, limit)
                return response if isinstance(response, Failure) else await _aread(response, limit)
        except TimeoutError as error:
            return failure(error, limit)

    async def open(self, index: int, call: Call, limit: float) -> httpx.Response | Sent:
        """Asks, and leaves an answer of 200 to be read."""
        try:
            with anyio.fail_after(limit):
                asked = request(self._addresses[index], call, self._token, limit)
                response = await self._answer(index, asked, limit)
                if isinstance(response, Failure):
                    return response
                if response.status_code == 200:
                    begun(asked)
                    return response
                return await _aread(response, limit)
        except TimeoutError as error:
            return failure(error, limit)

    async def _answer(self, index: int, asked: httpx.Request, limit: float) -> httpx.Response | Failure:
        try:
            return await self._transports[index].handle_async_request(asked)
        except httpx.TransportError as error:
            return failure(error, limit)

    async def close(self) -> None:
        """Closes all connections."""
        for transport in self._transports:
            await transport.aclose()


async def _aread(response: httpx.Response, limit: float) -> Sent:
    body = bytearray()
    try:
        async for part in response.aiter_raw():
            body += part
            if len(body) > LARGEST:
                return TOO_LARGE
    except (httpx.TransportError, httpx.StreamError) as error:
        return broken_off(error, limit)
    finally:
        await response.aclose()
    return Reply(response.status_code, response.headers, bytes(body))
