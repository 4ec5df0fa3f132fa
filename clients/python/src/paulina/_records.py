"""What a registry answers.

What is the registry's own are frozen dataclasses: its fields are few and known, are read by name, and times are times.
What is MCP's (tools, resources, prompts) stays the JSON object that was registered, since servers put into it what they
like and nothing of that may be lost. Members that a newer registry adds beside its own are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeAlias, TypeVar

T = TypeVar("T")

Json: TypeAlias = "dict[str, Any]"
Definition: TypeAlias = "dict[str, Any]"
"""A tool, resource or prompt, as it was registered; in a summary, without schemas."""
Health: TypeAlias = Literal["healthy", "unhealthy"]
Transport: TypeAlias = Literal["stdio", "streamable-http", "sse"]
ChangeKind: TypeAlias = Literal["registered", "updated", "deregistered", "expired"]


def _time(text: str) -> datetime:
    # Python 3.10 does not read the Z.
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


@dataclass(frozen=True, slots=True)
class Input:
    """Something that a client has to provide: an environment variable or a header, by name."""

    name: str
    description: str | None = None
    required: bool = False
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a server can do."""

    tools: tuple[Definition, ...] = ()
    resources: tuple[Definition, ...] = ()
    prompts: tuple[Definition, ...] = ()
    flags: Mapping[str, bool | Json] = field(default_factory=dict)
    """Whatever else it says, by name: true, false, or options."""


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
    """With stdio, the program and its arguments."""
    url: str | None
    """With HTTP, the address."""
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
    """With `q`, how well it matches; to be compared within one answer alone."""

    @property
    def tools(self) -> tuple[Definition, ...]:
        """Its tools."""
        return self.capabilities.tools

    @property
    def resources(self) -> tuple[Definition, ...]:
        """Its resources and templates."""
        return self.capabilities.resources

    @property
    def prompts(self) -> tuple[Definition, ...]:
        """Its prompts."""
        return self.capabilities.prompts


@dataclass(frozen=True, slots=True)
class Registered:
    """What registering gave. Refreshing or deregistering with this, instead of the id, never ends a successor."""

    server: Server
    lease: str
    """New with every registration."""
    created: bool
    """Whether the id was new; if not, what was registered under it is replaced."""

    @property
    def id(self) -> str:
        """The server's id."""
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
    """What a batch of refreshes gave."""

    refreshed: tuple[Refreshed, ...]
    not_registered: tuple[str, ...]
    """Register these again."""


@dataclass(frozen=True, slots=True)
class LeaseState:
    """A server's health, and what is left of its lease."""

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
class Tool:
    """A tool, by name, with the servers that offer it. Title and description are those of the one registered first."""

    name: str
    title: str | None
    description: str | None
    definitions: int
    """How many different ones there are under this name."""
    servers: tuple[ToolServer, ...]
    score: float | None = None
    """With `q`, how well it matches; to be compared within one answer alone."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of what was found."""

    items: tuple[T, ...]
    next_cursor: str | None
    """Where the next page begins; none on the last one."""


@dataclass(frozen=True, slots=True)
class ServerStats:
    """Totals of servers."""

    total: int
    by_health: Mapping[str, int]
    by_transport: Mapping[str, int]
    by_name: Mapping[str, int]
    by_tag: Mapping[str, int]
    by_capability: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Stats:
    """Totals of what is registered, healthy or not."""

    servers: ServerStats
    tools: int
    resources: int
    prompts: int
    revision: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that matches now. It replaces all that was known."""

    servers: tuple[Server, ...]
    revision: str


@dataclass(frozen=True, slots=True)
class Change:
    """One change."""

    kind: ChangeKind
    server: Server
    """In summary; its record before it left, where it has left."""
    at: datetime
    revision: str


Watched: TypeAlias = "Snapshot | Change"


def server(data: Json) -> Server:
    """Reads a record."""
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
    """Reads a lease that was refreshed."""
    expires_at = _time(data["expires_at"])
    return Refreshed(data["id"], data["health"], data["ttl"], expires_at, data["refresh_after_ms"])


def refreshed_many(data: Json) -> RefreshedMany:
    """Reads what a batch gave."""
    return RefreshedMany(tuple(map(refreshed, data["refreshed"])), tuple(data["not_registered"]))


def lease_state(data: Json) -> LeaseState:
    """Reads a lease."""
    expires_at = _time(data["expires_at"])
    return LeaseState(data["id"], data["name"], data["health"], data["ttl"], expires_at, data["expires_in_ms"])


def tool(data: Json) -> Tool:
    """Reads a tool of the catalogue."""
    servers = (ToolServer(it["id"], it["name"], it["transport"], it["health"]) for it in data["servers"])
    score = data.get("score")
    return Tool(data["name"], data["title"], data["description"], data["definitions"], tuple(servers), score)


def stats(data: Json) -> Stats:
    """Reads totals."""
    kinds = ("total", "by_health", "by_transport", "by_name", "by_tag", "by_capability")
    servers = ServerStats(**{kind: data["servers"][kind] for kind in kinds})
    return Stats(servers, data["tools"], data["resources"], data["prompts"], data["revision"])


def watched(kind: str, data: Json) -> Watched:
    """Reads an event."""
    if kind == "snapshot":
        return Snapshot(tuple(map(server, data["servers"])), data["revision"])
    return Change(data["kind"], server(data["server"]), _time(data["at"]), data["revision"])
