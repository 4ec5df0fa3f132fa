"""Find MCP servers, and be found: the client of Paulina, the registry for MCP servers.

The functions here ask the registry that PAULINA_URL names, or else http://127.0.0.1:7285; `Client` and `AsyncClient`
ask another one. `announce` makes a server of the MCP SDK, or of FastMCP, known for as long as it runs.
"""

from ._announce import announce
from ._async_client import AsyncClient
from ._async_heartbeat import AsyncHeartbeat
from ._client import Client
from ._errors import (
    InvalidAddress,
    InvalidFilter,
    InvalidToken,
    LeaseReplaced,
    NoHealthyServers,
    NotARegistry,
    NotRegistered,
    PaulinaError,
    Refused,
    Unreachable,
    Violation,
)
from ._heartbeat import Heartbeat
from ._heartbeat_loop import Beat
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
    Tool,
    ToolServer,
)
from ._results import AsyncFound, Found
from ._version import __version__
from ._watch import AsyncWatch, Watch

__all__ = [
    "AsyncClient",
    "AsyncFound",
    "AsyncHeartbeat",
    "AsyncWatch",
    "Beat",
    "Capabilities",
    "Change",
    "Client",
    "Found",
    "Heartbeat",
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
    "Refused",
    "Registered",
    "Server",
    "ServerStats",
    "Snapshot",
    "Stats",
    "Tool",
    "ToolServer",
    "Unreachable",
    "Violation",
    "Watch",
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
