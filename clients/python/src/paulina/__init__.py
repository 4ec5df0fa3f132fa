"""The client of Paulina, a registry for MCP servers: find servers, and register your own.

The functions use the registry at PAULINA_URL, by default http://127.0.0.1:7285; `Client` and `AsyncClient` can use
another one. `announce` registers a server of the MCP SDK, or of FastMCP, for as long as it runs.
"""

from ._announce import announce
from ._async_client import AsyncClient
from ._async_heartbeat import AsyncHeartbeat
from ._client import Client
from ._errors import (
    ApiError,
    InvalidAddress,
    InvalidFilter,
    InvalidToken,
    LeaseReplaced,
    NoHealthyServers,
    NotARegistry,
    NotRegistered,
    PaulinaError,
    Unreachable,
    Violation,
)
from ._heartbeat import Heartbeat
from ._heartbeat_loop import HeartbeatStatus
from ._module_api import (
    default_client,
    deregister,
    find,
    get,
    health,
    keep_alive,
    pick,
    refresh,
    refresh_many,
    register,
    stats,
    tools,
    watch,
)
from ._records import (
    Capabilities,
    Change,
    Input,
    LeaseState,
    Page,
    Refreshed,
    RefreshedMany,
    Registered,
    Server,
    ServerStats,
    Snapshot,
    Stats,
    ToolEntry,
    ToolServer,
    WatchEvent,
)
from ._results import AsyncFound, Found
from ._version import __version__
from ._watch import AsyncWatch, Watch

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncFound",
    "AsyncHeartbeat",
    "AsyncWatch",
    "Capabilities",
    "Change",
    "Client",
    "Found",
    "Heartbeat",
    "HeartbeatStatus",
    "Input",
    "InvalidAddress",
    "InvalidFilter",
    "InvalidToken",
    "LeaseReplaced",
    "LeaseState",
    "NoHealthyServers",
    "NotARegistry",
    "NotRegistered",
    "Page",
    "PaulinaError",
    "Refreshed",
    "RefreshedMany",
    "Registered",
    "Server",
    "ServerStats",
    "Snapshot",
    "Stats",
    "ToolEntry",
    "ToolServer",
    "Unreachable",
    "Violation",
    "Watch",
    "WatchEvent",
    "__version__",
    "announce",
    "default_client",
    "deregister",
    "find",
    "get",
    "health",
    "keep_alive",
    "pick",
    "refresh",
    "refresh_many",
    "register",
    "stats",
    "tools",
    "watch",
]
