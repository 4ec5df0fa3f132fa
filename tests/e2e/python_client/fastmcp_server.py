"""A server of FastMCP 4 that announces itself, with a server mounted in it.

fastmcp_server.py stdio           over standard input and output
fastmcp_server.py http PORT       over streamable HTTP
"""

import sys

from fastmcp import FastMCP
from paulina import announce

transport, port = sys.argv[1], int(([*sys.argv, "0"])[2])
address = {} if transport == "stdio" else {"url": f"http://127.0.0.1:{port}/mcp"}
server = FastMCP(
    "fast notes",
    version="3.2.1",
    instructions="Keeps notes.",
    lifespan=announce(tags=["python"], metadata={"sdk": "fastmcp"}, ttl=4, **address),
)
drawer = FastMCP("drawer")
server.mount(drawer, namespace="drawer")


@drawer.tool
def open_drawer() -> str:
    """Opens the drawer."""
    return "open"


@server.tool(version="1.0")
def add_note(name: str) -> str:
    """Adds a note."""
    return name


@server.tool(name="add_note", version="2.0")
def add_note_with_text(name: str, text: str) -> str:
    """Adds a note with a text."""
    return name + text


@server.tool
def grow() -> str:
    """Adds a tool."""
    server.tool(grow, name="grown")
    return "one tool added"


@server.resource("notes://all", mime_type="text/plain")
def all_notes() -> str:
    """All notes."""
    return "none"


@server.resource("notes://{name}")
def one_note(name: str) -> str:
    """One note."""
    return name


@server.prompt
def summarize_notes(style: str = "short") -> str:
    """Summarizes the notes."""
    return style


if __name__ == "__main__":
    if transport == "stdio":
        server.run(show_banner=False)
    else:
        server.run(transport="http", host="127.0.0.1", port=port, show_banner=False)
