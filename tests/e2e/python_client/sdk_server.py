"""A server of the MCP SDK, generation 2, that announces itself.

sdk_server.py stdio           over standard input and output
sdk_server.py http PORT       over streamable HTTP
"""

import sys

from mcp.server import MCPServer
from paulina import announce

transport, port = sys.argv[1], int(([*sys.argv, "0"])[2])
address = {} if transport == "stdio" else {"url": f"http://127.0.0.1:{port}/mcp"}
server = MCPServer(
    "sdk files",
    title="Files",
    version="2.1",
    instructions="Reads files.",
    lifespan=announce(tags=["python"], metadata={"sdk": "2"}, ttl=4, **address),
)


@server.tool()
def read_file(path: str, limit: int | None = None) -> str:
    """Reads a file."""
    return f"{path}:{limit}"


@server.tool()
def grow() -> str:
    """Adds a tool."""
    server.add_tool(grow, name="grown")
    return "one tool added"


@server.resource("file:///etc/hosts", mime_type="text/plain")
def hosts() -> str:
    """The hosts."""
    return "127.0.0.1 localhost"


@server.resource("file:///{path}")
def file(path: str) -> str:
    """A file."""
    return path


@server.prompt()
def summarize(path: str) -> str:
    """Summarizes a file."""
    return f"Summarize {path}"


if __name__ == "__main__":
    if transport == "stdio":
        server.run()
    else:
        server.run("streamable-http", port=port)
