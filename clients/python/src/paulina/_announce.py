"""Announces a server: registers it with its capabilities for as long as it runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import anyio

from ._async_client import AsyncClient
from ._async_heartbeat import AsyncHeartbeat
from ._client import Client
from ._errors import PaulinaError
from ._introspect import CannotRead, introspect, server_metadata
from ._records import Json
from ._registration import Fields, body, new_id, ttl_of
from ._signals import signals

if TYPE_CHECKING:
    from typing_extensions import Unpack

logger = logging.getLogger("paulina")

S = TypeVar("S")
R = TypeVar("R")

ANNOUNCED = "PAULINA_ANNOUNCED"
"""Set by `paulina announce` and `paulina inspect` for the server that they start, which must not announce itself."""
INTROSPECTION_TIMEOUT = 60.0
"""How long reading the capabilities of a server may take, in seconds."""
SECOND_READ_DELAY = 1.0
"""After how many seconds the server is read again: what it mounts or proxies may be missing before."""


@overload
def announce(
    *,
    addresses: str | Iterable[str] | None = None,
    token: str | None = None,
    name: str | None = None,
    lifespan: None = None,
    **fields: Unpack[Fields],
) -> Callable[[Any], AbstractAsyncContextManager[dict[str, Any]]]: ...


@overload
def announce(
    *,
    addresses: str | Iterable[str] | None = None,
    token: str | None = None,
    name: str | None = None,
    lifespan: Callable[[S], AbstractAsyncContextManager[R]],
    **fields: Unpack[Fields],
) -> Callable[[S], AbstractAsyncContextManager[R]]: ...


def announce(
    *,
    addresses: str | Iterable[str] | None = None,
    token: str | None = None,
    name: str | None = None,
    lifespan: Callable[[Any], AbstractAsyncContextManager[Any]] | None = None,
    **fields: Unpack[Fields],
) -> Callable[[Any], AbstractAsyncContextManager[Any]]:
    """Returns a lifespan for a server of the MCP SDK or of FastMCP, which registers it while it runs.

    `MCPServer("files", lifespan=announce(tags=["production"]))`. Tools, resources, templates and prompts are read from
    the server, at the start and twice per ttl. A server over standard input and output is registered with the command
    that started it; one over HTTP needs a `url`. The arguments override what is read from the server. `lifespan` is the
    server's own lifespan.

    The server never fails because of a registry, and never waits for one: it is registered as soon as one is available.
    """
    return _Announcer(addresses, token, name, lifespan, fields)


class _Announcer:
    def __init__(
        self,
        addresses: str | Iterable[str] | None,
        token: str | None,
        name: str | None,
        lifespan: Callable[[Any], AbstractAsyncContextManager[Any]] | None,
        fields: Mapping[str, Any],
    ) -> None:
        self._addresses = addresses if addresses is None or isinstance(addresses, str) else list(addresses)
        self._token, self._lifespan = token, lifespan
        # An iterator can be read only once, but a registration is sent more often.
        self._fields = {"name": name, **{key: _reusable(value) for key, value in fields.items()}}
        if "url" not in fields and "command" not in fields:
            self._fields["command"] = own_command()
        # An unknown field is a programming error, and is raised at once.
        body(name or "server", {key: value for key, value in self._fields.items() if key != "name"})
        self._running: dict[int, tuple[_Announcement, int]] = {}

    @asynccontextmanager
    async def __call__(self, server: Any) -> AsyncIterator[Any]:
        async with contextlib.AsyncExitStack() as stack:
            state = await stack.enter_async_context(self._lifespan(server)) if self._lifespan else {}
            if os.environ.get(ANNOUNCED):
                yield state
                return
            try:
                self._enter(server)
            except RuntimeError as error:
                # The server does not run in asyncio; it runs unannounced.
                logger.error("not announced: %s", error)
            else:
                stack.push_async_callback(self._exit, server)
            yield state

    def _enter(self, server: Any) -> None:
        """Begins an announcement. Some SDKs enter the lifespan for each session: only the first one begins it."""
        announcement, count = self._running.get(id(server), (None, 0))
        if announcement is None:
            announcement = _Announcement(server, self._fields, self._addresses, self._token)
        self._running[id(server)] = announcement, count + 1

    async def _exit(self, server: Any) -> None:
        announcement, count = self._running.pop(id(server))
        if count > 1:
            self._running[id(server)] = announcement, count - 1
            return
        # The server may end by cancellation; deregistering it must not be canceled.
        with anyio.CancelScope(shield=True):
            await announcement.stop()


class _Announcement:
    """The announcement of one server."""

    def __init__(self, server: Any, fields: Json, addresses: str | list[str] | None, token: str | None) -> None:
        self._server, self._fields = server, fields
        self._addresses, self._token = addresses, token
        self._id: str | None = fields.get("id")
        self._heartbeat: AsyncHeartbeat | None = None
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self._stop_task: asyncio.Task[None] | None = None
        self._task = asyncio.create_task(self._run(), name="paulina announce")
        signals.add(self)

    async def _run(self) -> None:
        try:
            client = AsyncClient(self._addresses, self._token)
        except PaulinaError as error:
            logger.error("not announced: %s", error)
            return
        async with client:
            await self._update(client)

    async def _update(self, client: AsyncClient) -> None:
        """Registers the server, and registers it again when its capabilities have changed."""
        delay, last_problem, registered = SECOND_READ_DELAY, "", None
        while True:
            try:
                with anyio.fail_after(INTROSPECTION_TIMEOUT):
                    current = await self._read()
            except Exception as error:
                # A server may proxy another one that is not available. The registration stays as it is.
                problem = str(error) or type(error).__name__
                if problem != last_problem:
                    logger.warning("cannot read the capabilities of the server: %s", problem)
                last_problem = problem
            else:
                if self._heartbeat is None:
                    self._heartbeat = client.keep_alive(**current)
                elif current != registered:
                    self._heartbeat.replace(**current)
                registered, last_problem = current, ""
            await anyio.sleep(delay)
            delay = ttl_of(self._fields) / 2

    async def _read(self) -> Json:
        given = {key: value for key, value in self._fields.items() if value is not None}
        try:
            own = await introspect(self._server)
        except CannotRead:
            if not {"tools", "resources", "prompts"} & given.keys():
                raise
            own = server_metadata(self._server)
        flags = {**own.pop("capabilities"), **given.pop("capabilities", {})}
        fields = {**own, **given, "capabilities": flags}
        self._id = self._id or new_id(fields["name"])
        return {**fields, "id": self._id}

    async def stop(self) -> None:
        """Deregisters the server; takes at most two seconds, even if no registry answers."""
        signals.remove(self)
        if not self._stopped:
            self._stopped = True
            # This closes the client, which stops the heartbeat.
            self._task.cancel()
        canceled = False
        while not self._task.done():
            try:
                await asyncio.wait({self._task})
            except asyncio.CancelledError:
                # Ctrl-C cancels the task that runs, which may be this one. Stopping takes only a moment more.
                canceled = True
        if canceled:
            raise asyncio.CancelledError

    def begin_shutdown(self) -> None:
        """Starts to deregister; the event loop continues for a while."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._begin_stop)

    def _begin_stop(self) -> None:
        if not self._stopped and self._stop_task is None:
            self._stop_task = self._loop.create_task(self.stop())

    def shut_down_now(self) -> None:
        """Deregisters synchronously, since the process ends."""
        target = None if self._heartbeat is None else self._heartbeat.to_deregister
        if target is not None and not self._stopped:
            with Client(self._addresses, self._token, timeout=1.0) as client:
                client.deregister(target)


def _reusable(value: Any) -> Any:
    return list(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)) else value


def own_command() -> list[str]:
    """Returns the command that started this process, in a form that works in any working directory.

    It contains the interpreter with its options, and the absolute path of the script.
    """
    main = sys.modules.get("__main__")
    # A module that was run with -m is found by its name.
    script = getattr(main, "__file__", None) if getattr(main, "__spec__", None) is None else None
    words = sys.orig_argv[1:]
    if script is not None:
        path = Path(script).absolute()
        index = next((index for index, word in enumerate(words) if Path(word).absolute() == path), None)
        if index is not None:
            words[index] = str(path)
    return [sys.executable, *words]
