"""HTTP to the addresses of a registry, synchronous and asynchronous.

The transports of httpx are used directly, without its client: no redirects and cookies, no proxy from the environment
between a program and its registry, and no line in the program's log for every heartbeat.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import quote, urlencode

import anyio
import httpx

from ._address import Address, tls_verification
from ._version import __version__

RESPONSE_SIZE_LIMIT = 64 * 1024 * 1024
"""The largest response that is read: a page of servers in full ends at 16 MiB, plus the last server."""
STREAM_TIMEOUT = 40.0
"""How long an event stream may be silent, in seconds: the registry sends a comment every 15 s."""
CONNECT_TIMEOUT = 5.0
CONNECTION_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=8, keepalive_expiry=60)


@dataclass(frozen=True, slots=True)
class Request:
    """A request, independent of the address."""

    method: str
    path: tuple[str, ...]
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    new_only: bool = False
    """Register only if the id is not taken."""
    since: str | None = None
    """The last event that was received."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A response that was read to its end."""

    status: int
    headers: httpx.Headers
    body: bytes


FailureKind: TypeAlias = Literal["unsent", "connection_lost", "unknown"]
"""How far a request got that has no response. `unsent`: nothing was sent. `connection_lost`: the connection was lost,
maybe a kept one that the server had closed; the request may have been processed. `unknown`: it may have been processed.
"""


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why there is no response."""

    kind: FailureKind
    reason: str


Result: TypeAlias = "Reply | Failure"


def http_request(address: Address, request: Request, token: str | None, timeout: float) -> httpx.Request:
    """Returns a request as it is sent to an address."""
    url = "/".join([address.base, *(quote(part, safe="") for part in request.path)])
    if request.query:
        url = f"{url}?{urlencode(request.query, quote_via=quote)}"
    headers = {"user-agent": f"paulina-python/{__version__}"}
    if token is not None:
        headers["authorization"] = token
    if request.new_only:
        headers["if-none-match"] = "*"
    if request.since is not None:
        headers["last-event-id"] = request.since
    if request.body is not None:
        headers["content-type"] = "application/json"
    extensions = {"timeout": timeouts(timeout)}
    return httpx.Request(request.method, url, headers=headers, content=request.body, extensions=extensions)


def timeouts(timeout: float) -> dict[str, float | None]:
    """Returns the timeout of each part of a request. httpx limits each read by itself; the caller limits the sum."""
    return httpx.Timeout(timeout, connect=min(CONNECT_TIMEOUT, timeout)).as_dict()


def is_event_stream(content_type: str) -> bool:
    """Whether a `content-type` is that of an event stream. A server that answers 200 to any request sends another."""
    return content_type.partition(";")[0].strip(" \t").lower() == "text/event-stream"


def begins_stream(response: httpx.Response) -> bool:
    """Whether an event stream follows."""
    return response.status_code == 200 and is_event_stream(response.headers.get("content-type", ""))


def set_stream_timeout(request: httpx.Request) -> None:
    """Lets a stream be silent for longer than its response may take: httpcore reads the timeout again for the body."""
    request.extensions["timeout"]["read"] = STREAM_TIMEOUT


def request_failure(error: Exception, timeout: float) -> Failure:
    """Classifies an error that occurred while sending a request."""
    reason = root_cause(error)
    if isinstance(error, httpx.ConnectTimeout):
        return Failure("unsent", f"no connection within {min(CONNECT_TIMEOUT, timeout):g} s")
    if isinstance(error, (httpx.ConnectError, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.LocalProtocolError)):
        return Failure("unsent", reason)
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return Failure("unknown", f"no response within {timeout:g} s")
    return Failure("connection_lost", reason)


def unexpected_failure(error: Exception) -> Failure:
    """Classifies an error that is not one of the network: no thread for a name lookup, for example."""
    return Failure("unknown", f"{type(error).__name__}: {error}")


def read_failure(error: Exception, timeout: float) -> Failure:
    """Classifies an error that occurred while reading a response."""
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return request_failure(error, timeout)
    return Failure("unknown", f"the response is incomplete: {root_cause(error)}")


def root_cause(error: BaseException) -> str:
    """Returns the message of the innermost error, which is the most specific one."""
    while True:
        # httpcore does not always set the cause of the errors that it wraps.
        wraps = type(error).__module__.startswith("httpcore")
        cause = error.__cause__ or (error.__context__ if wraps else None)
        if cause is None or not str(cause):
            break
        error = cause
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


TOO_LARGE = Failure("unknown", "the response is larger than 64 MiB")


class SyncTransport:
    """Synchronous HTTP to all addresses, with kept connections."""

    def __init__(self, addresses: tuple[Address, ...], token: str | None) -> None:
        self._addresses, self._token, verify = addresses, token, tls_verification(addresses)
        self._transports = [
            httpx.HTTPTransport(verify=verify, trust_env=False, limits=CONNECTION_LIMITS, uds=address.socket)
            for address in addresses
        ]

    def send(self, index: int, request: Request, timeout: float) -> Result:
        """Sends a request and reads the response to its end."""
        end = time.monotonic() + timeout
        response = self._handle(index, http_request(self._addresses[index], request, self._token, timeout), timeout)
        return response if isinstance(response, Failure) else _read(response, end, timeout)

    def open(self, index: int, request: Request, timeout: float) -> httpx.Response | Result:
        """Sends a request and returns an event stream; reads any other response to its end."""
        http = http_request(self._addresses[index], request, self._token, timeout)
        response = self._handle(index, http, timeout)
        if isinstance(response, Failure):
            return response
        if begins_stream(response):
            set_stream_timeout(http)
            return response
        return _read(response, time.monotonic() + timeout, timeout)

    def _handle(self, index: int, http: httpx.Request, timeout: float) -> httpx.Response | Failure:
        try:
            return self._transports[index].handle_request(http)
        except httpx.TransportError as error:
            return request_failure(error, timeout)

    def close(self) -> None:
        """Closes all connections."""
        for transport in self._transports:
            transport.close()


def _read(response: httpx.Response, end: float, timeout: float) -> Result:
    body = bytearray()
    try:
        for part in response.iter_raw():
            body += part
            if len(body) > RESPONSE_SIZE_LIMIT:
                return TOO_LARGE
            if time.monotonic() > end:
                return request_failure(TimeoutError(), timeout)
    except (httpx.TransportError, httpx.StreamError) as error:
        return read_failure(error, timeout)
    finally:
        response.close()
    return Reply(response.status_code, response.headers, bytes(body))


class AsyncTransport:
    """Asynchronous HTTP to all addresses, with kept connections."""

    def __init__(self, addresses: tuple[Address, ...], token: str | None) -> None:
        self._addresses, self._token, verify = addresses, token, tls_verification(addresses)
        self._transports = [
            httpx.AsyncHTTPTransport(verify=verify, trust_env=False, limits=CONNECTION_LIMITS, uds=address.socket)
            for address in addresses
        ]

    async def send(self, index: int, request: Request, timeout: float) -> Result:
        """Sends a request and reads the response to its end."""
        try:
            with anyio.fail_after(timeout):
                http = http_request(self._addresses[index], request, self._token, timeout)
                response = await self._handle(index, http, timeout)
                return response if isinstance(response, Failure) else await _aread(response, timeout)
        except TimeoutError as error:
            return request_failure(error, timeout)

    async def open(self, index: int, request: Request, timeout: float) -> httpx.Response | Result:
        """Sends a request and returns an event stream; reads any other response to its end."""
        try:
            with anyio.fail_after(timeout):
                http = http_request(self._addresses[index], request, self._token, timeout)
                response = await self._handle(index, http, timeout)
                if isinstance(response, Failure):
                    return response
                if begins_stream(response):
                    set_stream_timeout(http)
                    return response
                return await _aread(response, timeout)
        except TimeoutError as error:
            return request_failure(error, timeout)

    async def _handle(self, index: int, http: httpx.Request, timeout: float) -> httpx.Response | Failure:
        try:
            return await self._transports[index].handle_async_request(http)
        except httpx.TransportError as error:
            return request_failure(error, timeout)

    async def close(self) -> None:
        """Closes all connections."""
        for transport in self._transports:
            await transport.aclose()


async def _aread(response: httpx.Response, timeout: float) -> Result:
    body = bytearray()
    try:
        async for part in response.aiter_raw():
            body += part
            if len(body) > RESPONSE_SIZE_LIMIT:
                return TOO_LARGE
    except (httpx.TransportError, httpx.StreamError) as error:
        return read_failure(error, timeout)
    finally:
        await response.aclose()
    return Reply(response.status_code, response.headers, bytes(body))
