"""The records in the responses of a registry.

The registry's own records are frozen dataclasses: their fields are known, and times are `datetime`. MCP definitions
(tools, resources, prompts) remain the JSON objects that were registered, since servers may add members, and none may be
lost. Members that a newer registry adds to its records are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeAlias, TypeVar

T = TypeVar("T")

Json: TypeAlias = "dict[str, Any]"
Definition: TypeAlias = "dict[str, Any]"
"""A tool, resource or prompt as it was registered; in a summary, without schemas."""
Health: TypeAlias = Literal["healthy", "unhealthy"]
Transport: TypeAlias = Literal["stdio", "streamable-http", "sse"]
ChangeKind: TypeAlias = Literal["registered", "updated", "deregistered", "expired"]


def _time(text: str) -> datetime:
    # Python 3.10 does not read the Z.
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


@dataclass(frozen=True, slots=True)
class Input:
    """The name of an environment variable or a header that a client has to provide."""

    name: str
    description: str | None = None
    required: bool = False
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The capabilities of a server."""

    tools: tuple[Definition, ...] = ()
    resources: tuple[Definition, ...] = ()
    prompts: tuple[Definition, ...] = ()
    flags: Mapping[str, bool | Json] = field(default_factory=dict)
    """All other capabilities by name: true, false, or options."""


@dataclass(frozen=True, slots=True)
class Server:
    """A registered server."""

    id: str
    name: str
    title: str | None
    version: str | None
    description: str | None
    transport: Transport
    command: tuple[str, ...] | None
    """For stdio: the program and its arguments."""
    url: str | None
    """For HTTP: the address."""
    environment: tuple[Input, ...]
    headers: tuple[Input, ...]
    capabilities: Capabilities = field(hash=False)
    tags: tuple[str, ...]
    metadata: Mapping[str, str] = field(hash=False)
    owner: str | None
    ttl: int
    health: Health
    registered_at: datetime
    updated_at: datetime
    refreshed_at: datetime
    expires_at: datetime
    score: float | None = None
    """With `q`, how well it matches; comparable only within one response."""

    @property
    def tools(self) -> tuple[Definition, ...]:
        """The tools of the server."""
        return self.capabilities.tools

    @property
    def resources(self) -> tuple[Definition, ...]:
        """The resources and resource templates of the server."""
        return self.capabilities.resources

    @property
    def prompts(self) -> tuple[Definition, ...]:
        """The prompts of the server."""
        return self.capabilities.prompts


@dataclass(frozen=True, slots=True)
class Registered:
    """The result of a registration. Pass it to `refresh` and `deregister`, so that they never affect a later one."""

    server: Server
    lease: str
    """A new one for every registration."""
    created: bool
    """Whether the id was new; if not, the registration under it was replaced."""

    @property
    def id(self) -> str:
        """The id of the server."""
        return self.server.id


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A lease that was refreshed."""

    id: str
    health: Health
    ttl: int
    expires_at: datetime
    refresh_after_ms: int


@dataclass(frozen=True, slots=True)
class RefreshedMany:
    """The result of a batch of refreshes."""

    refreshed: tuple[Refreshed, ...]
    not_registered: tuple[str, ...]
    """The ids to register again."""


@dataclass(frozen=True, slots=True)
class LeaseState:
    """The health of a server, and the remaining time of its lease."""

    id: str
    name: str
    health: Health
    ttl: int
    expires_at: datetime
    expires_in_ms: int


@dataclass(frozen=True, slots=True)
class ToolServer:
    """A server that offers a tool."""

    id: str
    name: str
    transport: Transport
    health: Health


@dataclass(frozen=True, slots=True)
class ToolEntry:
    """A tool, by name, with the servers that offer it. Title and description are from the one registered first."""

    name: str
    title: str | None
    description: str | None
    definitions: int
    """How many different definitions have this name."""
    servers: tuple[ToolServer, ...]
    score: float | None = None
    """With `q`, how well it matches; comparable only within one response."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of results."""

    items: tuple[T, ...]
    next_cursor: str | None
    """The position of the next page; None on the last one."""


@dataclass(frozen=True, slots=True)
class ServerStats:
    """Numbers of servers."""

    total: int
    by_health: Mapping[str, int]
    by_transport: Mapping[str, int]
    by_name: Mapping[str, int]
    by_tag: Mapping[str, int]
    by_capability: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Stats:
    """Numbers of registered servers, tools, resources and prompts, healthy or not."""

    servers: ServerStats
    tools: int
    resources: int
    prompts: int
    revision: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All servers that match. A snapshot replaces all that was received before."""

    servers: tuple[Server, ...]
    revision: str


@dataclass(frozen=True, slots=True)
class Change:
    """One change."""

    kind: ChangeKind
    server: Server
    """A summary; for a server that was removed, its last record."""
    at: datetime
    revision: str


WatchEvent: TypeAlias = "Snapshot | Change"


def server(data: Json) -> Server:
    """Parses a server."""
    capabilities = dict(data["capabilities"])
    tools, resources, prompts = (tuple(capabilities.pop(kind)) for kind in ("tools", "resources", "prompts"))
    return Server(
        id=data["id"],
        name=data["name"],
        title=data["title"],
        version=data["version"],
        description=data["description"],
        transport=data["transport"],
        command=None if data["command"] is None else tuple(data["command"]),
        url=data["url"],
        environment=tuple(map(_input, data["environment"])),
        headers=tuple(map(_input, data["headers"])),
        capabilities=Capabilities(tools, resources, prompts, capabilities),
        tags=tuple(data["tags"]),
        metadata=data["metadata"],
        owner=data["owner"],
        ttl=data["ttl"],
        health=data["health"],
        registered_at=_time(data["registered_at"]),
        updated_at=_time(data["updated_at"]),
        refreshed_at=_time(data["refreshed_at"]),
        expires_at=_time(data["expires_at"]),
        score=data.get("score"),
    )


def _input(data: Json) -> Input:
    return Input(
        data["name"], data.get("description"), bool(data.get("required", False)), bool(data.get("secret", False))
    )


def refreshed(data: Json) -> Refreshed:
    """Parses a refreshed lease."""
    expires_at = _time(data["expires_at"])
    return Refreshed(data["id"], data["health"], data["ttl"], expires_at, data["refresh_after_ms"])


def refreshed_many(data: Json) -> RefreshedMany:
    """Parses the result of a batch."""
    return RefreshedMany(tuple(map(refreshed, data["refreshed"])), tuple(data["not_registered"]))


def lease_state(data: Json) -> LeaseState:
    """Parses the state of a lease."""
    expires_at = _time(data["expires_at"])
    return LeaseState(data["id"], data["name"], data["health"], data["ttl"], expires_at, data["expires_in_ms"])


def tool_entry(data: Json) -> ToolEntry:
    """Parses a tool of the catalog."""
    servers = (ToolServer(it["id"], it["name"], it["transport"], it["health"]) for it in data["servers"])
    score = data.get("score")
    return ToolEntry(data["name"], data["title"], data["description"], data["definitions"], tuple(servers), score)


def stats(data: Json) -> Stats:
    """Parses totals."""
    kinds = ("total", "by_health", "by_transport", "by_name", "by_tag", "by_capability")
    servers = ServerStats(**{kind: data["servers"][kind] for kind in kinds})
    return Stats(servers, data["tools"], data["resources"], data["prompts"], data["revision"])


def watch_event(kind: str, data: Json) -> WatchEvent:
    """Parses an event."""
    if kind == "snapshot":
        return Snapshot(tuple(map(server, data["servers"])), data["revision"])
    return Change(data["kind"], server(data["server"]), _time(data["at"]), data["revision"])
