"""A server of the older SDK: a tool, a resource, a template, a prompt, and a tool that it only has once it has grown.

    older_server.py stdio           over standard input and output
    older_server.py sse PORT        over HTTP with server-sent events
    older_server.py http PORT       over streamable HTTP

That it has grown stays in the file that GROWN names, so that another process of it has grown, too.
"""

import contextlib
import os
import sys
import weakref
from pathlib import Path

import anyio
from mcp.server.fastmcp import FastMCP

GROWN = os.environ.get("GROWN")
SHELF = {"first": "Emma"}


class Server(FastMCP):
    """One that remembers who has asked for its tools, to tell them when there are more."""

    asked = weakref.WeakSet()

    async def list_tools(self):
        self.asked.add(self.get_context().session)
        return await super().list_tools()


server = Server("older", instructions="Keeps books.", log_level="WARNING", port=int(([*sys.argv, "0"])[2]))


@server.tool()
def shout(text: str) -> str:
    """Says it louder."""
    return text.upper()


def grown() -> str:
    """Is there since the server has grown."""
    return "grown"


@server.tool()
async def grow() -> str:
    """Adds a tool and says that the list of tools has changed."""
    if GROWN:
        Path(GROWN).touch()
    server.add_tool(grown)
    for session in list(Server.asked):
        # Somebody who has left does not take what is said.
        with anyio.move_on_after(1), contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await session.send_tool_list_changed()
    return "one tool more"


@server.resource("shelf://all", mime_type="text/plain")
def all_books() -> str:
    """All books."""
    return "\n".join(SHELF.values())


@server.resource("shelf://{book}")
def one_book(book: str) -> str:
    """One book."""
    return SHELF[book]


@server.prompt()
def review(book: str) -> str:
    """Reviews a book."""
    return f"What is {book} about?"


if __name__ == "__main__":
    if GROWN and Path(GROWN).exists():
        server.add_tool(grown)
    server.run({"stdio": "stdio", "sse": "sse", "http": "streamable-http"}[sys.argv[1]])
