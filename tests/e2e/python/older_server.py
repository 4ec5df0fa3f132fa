"""A server of the MCP SDK, generation 1, that announces itself.

    older_server.py stdio           over standard input and output
    older_server.py http PORT       over streamable HTTP: here the SDK enters the lifespan for each session, so it is
                                    entered around the whole
"""

import sys

import anyio
from mcp.server.fastmcp import FastMCP

from paulina import announce

way, port = sys.argv[1], int(([*sys.argv, "0"])[2])
told = {"tags": ["python"], "metadata": {"sdk": "1"}, "ttl": 4}
server = FastMCP("older books", log_level="WARNING", port=port, lifespan=announce(**told) if way == "stdio" else None)


@server.tool()
def shout(text: str) -> str:
    """Says it louder."""
    return text.upper()


@server.tool()
def grow() -> str:
    """Adds a tool."""
    server.add_tool(grow, name="grown")
    return "one tool more"


@server.resource("shelf://all", mime_type="text/plain")
def all_books() -> str:
    """All books."""
    return "none"


@server.resource("shelf://{book}")
def one_book(book: str) -> str:
    """One book."""
    return book


@server.prompt()
def review(book: str) -> str:
    """Reviews a book."""
    return book


async def over_http() -> None:
    async with announce(url=f"http://127.0.0.1:{port}/mcp", **told)(server):
        await server.run_streamable_http_async()


if __name__ == "__main__":
    if way == "stdio":
        server.run()
    else:
        anyio.run(over_http)
