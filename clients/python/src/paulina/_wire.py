"""HTTP to one address of a registry, asked synchronously or not.

The transports of httpx are used directly, without its client on top: no redirects and cookies, no proxy out of the
environment between a program and its registry, and no line in the program's log for every heartbeat.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias
from urllib.parse import quote, urlencode

import anyio
import httpx

from ._errors import InvalidAddress, InvalidToken
from ._version import __version__

DEFAULT = "http://127.0.0.1:7285"
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


@dataclass(frozen=True, slots=True)
class Address:
    """One address."""

    text: str
    """As it was given."""
    base: str
    socket: str | None = None
    """A path, for a Unix socket."""


def read_addresses(given: str | Iterable[str] | None) -> tuple[Address, ...]:
    """Reads addresses: several, or in one text with commas; without any, PAULINA_URL, or the usual one."""
    if given is None:
        given = os.environ.get("PAULINA_URL", "")
        # An empty variable is as good as none.
        given = given if given.replace(",", "").strip() else DEFAULT
    texts = given.split(",") if isinstance(given, str) else given
    found = tuple(_address(text.strip()) for text in texts if text.strip())
    if not found:
        raise InvalidAddress("", "there is none")
    return found


def _address(text: str) -> Address:
    if text.startswith("unix:"):
        return Address(text, "http://localhost", text.removeprefix("unix:"))
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise InvalidAddress(text, str(error)) from None
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidAddress(text, "it is neither http nor https")
    return Address(text, str(url.copy_with(query=None, fragment=None)).rstrip("/"))


def authorization(token: str | None) -> str | None:
    """The header for a token; without one given, for PAULINA_TOKEN. An empty one is none."""
    token = os.environ.get("PAULINA_TOKEN") if token is None else token
    if not token:
        return None
    if not all("!" <= character <= "~" for character in token):
        raise InvalidToken
    return f"Bearer {token}"


def trust(given: tuple[Address, ...]) -> ssl.SSLContext | bool:
    """Whom the system trusts (or SSL_CERT_FILE says); where no TLS is spoken, reading all that is saved."""
    spoken = any(address.base.startswith("https:") for address in given)
    return ssl.create_default_context() if spoken else False


def request(address: Address, call: Call, token: str | None, timeouts: Mapping[str, float | None]) -> httpx.Request:
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
    return httpx.Request(call.method, url, headers=headers, content=call.body, extensions={"timeout": dict(timeouts)})


def timeouts(limit: float, *, silence: float | None = None) -> dict[str, float | None]:
    """How long each part may take. httpx counts each read by itself; the whole is counted by who asks."""
    return httpx.Timeout(limit, connect=min(CONNECT, limit), read=silence or limit).as_dict()


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
        response = self._answer(index, call, timeouts(limit), limit)
        return response if isinstance(response, Failure) else _read(response, end, limit)

    def open(self, index: int, call: Call, limit: float) -> httpx.Response | Sent:
        """Asks, and leaves an answer of 200 to be read."""
        response = self._answer(index, call, timeouts(limit, silence=SILENCE), limit)
        if isinstance(response, Failure) or response.status_code == 200:
            return response
        return _read(response, time.monotonic() + limit, limit)

    def _answer(
        self, index: int, call: Call, timeouts: Mapping[str, float | None], limit: float
    ) -> httpx.Response | Failure:
        try:
            asked = request(self._addresses[index], call, self._token, timeouts)
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
                response = await self._answer(index, call, timeouts(limit), limit)
                return response if isinstance(response, Failure) else await _aread(response, limit)
        except TimeoutError as error:
            return failure(error, limit)

    async def open(self, index: int, call: Call, limit: float) -> httpx.Response | Sent:
        """Asks, and leaves an answer of 200 to be read."""
        try:
            with anyio.fail_after(limit):
                response = await self._answer(index, call, timeouts(limit, silence=SILENCE), limit)
                if isinstance(response, Failure) or response.status_code == 200:
                    return response
                return await _aread(response, limit)
        except TimeoutError as error:
            return failure(error, limit)

    async def _answer(
        self, index: int, call: Call, timeouts: Mapping[str, float | None], limit: float
    ) -> httpx.Response | Failure:
        try:
            asked = request(self._addresses[index], call, self._token, timeouts)
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
