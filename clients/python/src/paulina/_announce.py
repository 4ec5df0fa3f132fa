"""A server that announces itself, with all that it can do, for as long as it runs."""

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
from ._introspect import CannotRead, describe, introduced
from ._records import Json
from ._registration import Fields, body, new_id, ttl_of
from ._signals import signals

if TYPE_CHECKING:
    from typing_extensions import Unpack

logger = logging.getLogger("paulina")

S = TypeVar("S")
R = TypeVar("R")

ANNOUNCED = "PAULINA_ANNOUNCED"
"""Set by `paulina announce` and `paulina inspect` for the server that they start: it is announced already."""
PATIENCE = 60.0
"""How long a server may take to say what it can do."""
SETTLED = 1.0
"""What a server mounts or proxies may only be there after its own lifespan has begun: it is read again so soon."""


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
    """A lifespan for a server of the MCP SDK or of FastMCP: while the server runs, it is registered.

    `MCPServer("files", lifespan=announce(tags=["production"]))`. Its tools, resources, templates and prompts are read
    from the server, and again at each heartbeat. A program over standard input and output is registered with the
    command that started it; one over HTTP gives its `url`. What is given here stands above what the server says of
    itself. A lifespan of the server's own is given as `lifespan`.

    The server never fails and never waits for a registry: without one it runs, and is registered when one is there.
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
        # What can be read once alone is read more often: it is checked here, and sent again and again.
        self._fields = {"name": name, **{key: _kept(value) for key, value in fields.items()}}
        if "url" not in fields and "command" not in fields:
            self._fields["command"] = own_command()
        # A wrong field is a mistake of the program, and is told at once.
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
                # It runs without asyncio, and runs on.
                logger.error("not announced: %s", error)
            else:
                stack.push_async_callback(self._exit, server)
            yield state

    def _enter(self, server: Any) -> None:
        """Some SDKs enter the lifespan for each session: the first one announces, and the last one ends it."""
        announcement, times = self._running.get(id(server), (None, 0))
        if announcement is None:
            announcement = _Announcement(server, self._fields, self._addresses, self._token)
        self._running[id(server)] = announcement, times + 1

    async def _exit(self, server: Any) -> None:
        announcement, times = self._running.pop(id(server))
        if times > 1:
            self._running[id(server)] = announcement, times - 1
            return
        # The server ends, perhaps by cancellation, and there is something to be done all the same.
        with anyio.CancelScope(shield=True):
            await announcement.stop()


class _Announcement:
    """One server that is announced."""

    def __init__(self, server: Any, fields: Json, addresses: str | list[str] | None, token: str | None) -> None:
        self._server, self._fields = server, fields
        self._addresses, self._token = addresses, token
        self._id: str | None = fields.get("id")
        self._heartbeat: AsyncHeartbeat | None = None
        self._loop = asyncio.get_running_loop()
        self._left = False
        self._leaving: asyncio.Task[None] | None = None
        self._task = asyncio.create_task(self._run(), name="paulina announce")
        signals.tell(self)

    async def _run(self) -> None:
        try:
            client = AsyncClient(self._addresses, self._token)
        except PaulinaError as error:
            logger.error("not announced: %s", error)
            return
        async with client:
            await self._keep_up(client)

    async def _keep_up(self, client: AsyncClient) -> None:
        """Registers what the server can do, and looks whether that has changed."""
        pause, said, known = SETTLED, "", None
        while True:
            try:
                with anyio.fail_after(PATIENCE):
                    current = await self._read()
            except Exception as error:
                # A server that proxies another one, say, which is not there now. What was read before stays.
                reason = str(error) or type(error).__name__
                if reason != said:
                    logger.warning("cannot read what the server can do: %s", reason)
                said = reason
            else:
                if self._heartbeat is None:
                    self._heartbeat = client.keep_alive(**current)
                elif current != known:
                    self._heartbeat.replace(**current)
                known, said = current, ""
            await anyio.sleep(pause)
            pause = ttl_of(self._fields) / 2

    async def _read(self) -> Json:
        given = {key: value for key, value in self._fields.items() if value is not None}
        try:
            own = await describe(self._server)
        except CannotRead:
            if not {"tools", "resources", "prompts"} & given.keys():
                raise
            own = introduced(self._server)
        flags = {**own.pop("capabilities"), **given.pop("capabilities", {})}
        fields = {**own, **given, "capabilities": flags}
        self._id = self._id or new_id(fields["name"])
        return {**fields, "id": self._id}

    async def stop(self) -> None:
        """Takes the server out; in two seconds at most, also when nobody answers."""
        signals.forget(self)
        if not self._left:
            self._left = True
            # Its client is closed, which stops the heartbeat.
            self._task.cancel()
        cancelled = False
        while not self._task.done():
            try:
                await asyncio.wait({self._task})
            except asyncio.CancelledError:
                # Ctrl-C cancels what runs, and that may be this. It is done in a moment.
                cancelled = True
        if cancelled:
            raise asyncio.CancelledError

    def leave(self) -> None:
        """Begins to leave: the loop goes on for a while."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        if not self._left and self._leaving is None:
            self._leaving = self._loop.create_task(self.stop())

    def leave_now(self) -> None:
        """Leaves before anything else happens here: the process ends."""
        target = None if self._heartbeat is None else self._heartbeat.to_deregister
        if target is not None and not self._left:
            with Client(self._addresses, self._token, timeout=1.0) as client:
                client.deregister(target)


def _kept(value: Any) -> Any:
    return list(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)) else value


def own_command() -> list[str]:
    """What started this process, so that it can be started again from anywhere.

    The interpreter with its options, and the script by its whole path: a client has another folder.
    """
    main = sys.modules.get("__main__")
    # A module that was named with -m is found by its name.
    script = getattr(main, "__file__", None) if getattr(main, "__spec__", None) is None else None
    words = sys.orig_argv[1:]
    if script is not None:
        whole = Path(script).absolute()
        place = next((place for place, word in enumerate(words) if Path(word).absolute() == whole), None)
        if place is not None:
            words[place] = str(whole)
    return [sys.executable, *words]
