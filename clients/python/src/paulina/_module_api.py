"""Functions of the module, which use the registry that the environment variables name."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ._client import Client
from ._filters import Filters, WatchFilters
from ._heartbeat import Heartbeat
from ._records import LeaseState, Refreshed, RefreshedMany, Registered, Server, Stats, ToolEntry
from ._registration import Fields
from ._results import Found
from ._watch import Watch

if TYPE_CHECKING:
    from typing_extensions import Unpack

_lock = threading.Lock()
_clients: dict[tuple[str | None, ...], Client] = {}


def default_client() -> Client:
    """Returns the client of these functions: PAULINA_URL, by default http://127.0.0.1:7285, and PAULINA_TOKEN."""
    # The environment may change. A forked process must not share connections with its parent.
    key = (str(os.getpid()), os.environ.get("PAULINA_URL"), os.environ.get("PAULINA_TOKEN"))
    with _lock:
        if key not in _clients:
            _clients[key] = Client()
        return _clients[key]


def find(**filters: Unpack[Filters]) -> Found[Server]:
    """See `Client.find`."""
    return default_client().find(**filters)


def tools(**filters: Unpack[Filters]) -> Found[ToolEntry]:
    """See `Client.tools`."""
    return default_client().tools(**filters)


def get(id: str) -> Server | None:
    """See `Client.get`."""
    return default_client().get(id)


def health(id: str) -> LeaseState | None:
    """See `Client.health`."""
    return default_client().health(id)


def pick(name: str) -> Server:
    """See `Client.pick`."""
    return default_client().pick(name)


def stats() -> Stats:
    """See `Client.stats`."""
    return default_client().stats()


def watch(*, since: str | None = None, **filters: Unpack[WatchFilters]) -> Watch:
    """See `Client.watch`."""
    return default_client().watch(since=since, **filters)


def register(name: str, *, new_only: bool = False, **fields: Unpack[Fields]) -> Registered:
    """See `Client.register`."""
    return default_client().register(name, new_only=new_only, **fields)


def refresh(target: Registered | str, lease: str | None = None) -> Refreshed:
    """See `Client.refresh`."""
    return default_client().refresh(target, lease)


def refresh_many(ids: Iterable[str]) -> RefreshedMany:
    """See `Client.refresh_many`."""
    return default_client().refresh_many(ids)


def deregister(target: Registered | str, lease: str | None = None) -> None:
    """See `Client.deregister`."""
    default_client().deregister(target, lease)


def keep_alive(name: str, **fields: Unpack[Fields]) -> Heartbeat:
    """See `Client.keep_alive`."""
    return default_client().keep_alive(name, **fields)
