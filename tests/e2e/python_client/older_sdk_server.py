"""A server of the MCP SDK, generation 1, that announces itself.

older_sdk_server.py stdio           over standard input and output
older_sdk_server.py http PORT       over streamable HTTP: the SDK enters the lifespan for each session, so this
                                    program enters it around the whole server
"""

import sys

import anyio
from mcp.server.fastmcp import FastMCP
from paulina import announce

transport, port = sys.argv[1], int(([*sys.argv, "0"])[2])
options = {"tags": ["python"], "metadata": {"sdk": "1"}, "ttl": 4}
server = FastMCP(
    "older books", log_level="WARNING", port=port, lifespan=announce(**options) if transport == "stdio" else None
)


@server.tool()
def shout(text: str) -> str:
    """Returns the text in upper case."""
    return text.upper()


@server.tool()
def grow() -> str:
    """Adds a tool."""
    server.add_tool(grow, name="grown")
    return "one tool added"


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


async def run_over_http() -> None:
    async with announce(url=f"http://127.0.0.1:{port}/mcp", **options)(server):
        await server.run_streamable_http_async()


if __name__ == "__main__":
    if transport == "stdio":
        server.run()
    else:
        anyio.run(run_over_http)
