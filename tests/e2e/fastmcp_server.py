"""A FastMCP server over HTTP, with a tool, a resource, a template and a prompt."""

import sys

from fastmcp import FastMCP

server = FastMCP("notes", version="3.2.1", instructions="Keeps notes.")
NOTES = {"first": "buy milk"}


@server.tool
def add_note(name: str, text: str) -> str:
    """Adds a note under a name."""
    NOTES[name] = text
    return f"{len(NOTES)} notes"


@server.resource("notes://all", mime_type="text/plain")
def all_notes() -> str:
    """All notes."""
    return "\n".join(NOTES.values())


@server.resource("notes://{name}")
def one_note(name: str) -> str:
    """One note."""
    return NOTES[name]


@server.prompt
def summarise_notes(style: str = "short") -> str:
    """Summarises the notes."""
    return f"Summarise in {style} style: {NOTES}"


if __name__ == "__main__":
    server.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]), show_banner=False)
