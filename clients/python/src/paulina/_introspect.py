"""What a server of an MCP SDK is and can do, read from its own object.

No SDK is imported: the high-level servers of the MCP SDK's generation 1 (`FastMCP`), of its generation 2 (`MCPServer`)
and of FastMCP 4 have the same methods for it, by which they answer their clients, too.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from ._records import Json
from ._registration import definition

_LISTS = (
    # Where it belongs, how it is asked for, how FastMCP turns its own into MCP's, what it is known by here and there.
    ("tools", "list_tools", "to_mcp_tool", "name", "name"),
    ("resources", "list_resources", "to_mcp_resource", "uri", "uri"),
    ("resources", "list_resource_templates", "to_mcp_template", "uri_template", "uriTemplate"),
    ("prompts", "list_prompts", "to_mcp_prompt", "name", "name"),
)
_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/@ -")


class CannotRead(Exception):
    """The server is none whose methods are known."""


async def describe(server: Any) -> Json:
    """What the server says of itself, as fields of a registration."""
    fields = introduced(server)
    for kind, method, convert, attribute, key in _LISTS:
        listed = getattr(server, method, None)
        items = listed() if callable(listed) else None
        if not inspect.isawaitable(items):
            raise CannotRead(
                f"a {type(server).__module__}.{type(server).__name__} cannot be asked what it can do: "
                "give announce(…) its tools=[…], resources=[…] and prompts=[…]"
            )
        found = newest(await items, attribute)
        models = (getattr(item, convert)() if hasattr(item, convert) else item for item in found)
        fields.setdefault(kind, []).extend(_unique(map(definition, models), key))
    return fields


def introduced(server: Any) -> Json:
    """What the server says of itself as a whole, with the first words that it says to a client."""
    inner = getattr(server, "_lowlevel_server", None) or getattr(server, "_mcp_server", None) or server
    try:
        greeting = inner.create_initialization_options()
    except Exception:
        # What follows is said in public, too, but for the capabilities.
        greeting = None

    def said(*names: str) -> str | None:
        texts = (getattr(source, name, None) for name in names for source in (greeting, server))
        return next((text for text in texts if isinstance(text, str) and text.strip()), None)

    title, version, description = said("title"), said("server_version", "version"), said("description", "instructions")
    return {
        "name": valid_name(said("server_name", "name") or ""),
        "title": title and title[:200],
        "version": version and version[:100],
        "description": description and description[:10_000],
        "capabilities": _flags(getattr(greeting, "capabilities", None)),
    }


def _flags(capabilities: Any) -> Json:
    said = definition(capabilities) if capabilities is not None else {}
    for kind in ("tools", "resources", "prompts"):
        said.pop(kind, None)
    if not said.get("extensions"):
        # The SDK keeps an empty table of extensions, and tells nobody of it.
        said.pop("extensions", None)
    return {name: options for name, options in said.items() if isinstance(options, (bool, dict))}


def valid_name(name: str) -> str:
    """A name of the characters that the registry takes."""
    kept = "".join(character if character in _NAME_CHARACTERS else "-" for character in name.strip()[:200])
    return kept or "server"


def newest(items: Iterable[Any], attribute: str) -> list[Any]:
    """Of several versions of one tool the newest, which is the one that FastMCP tells clients of."""
    items = list(items)
    if not any(getattr(item, "version", None) for item in items):
        return items
    try:
        from fastmcp.utilities.versions import dedupe_with_versions  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return items
    return list(dedupe_with_versions(items, lambda item: str(getattr(item, attribute))))


def _unique(items: Iterable[Json], key: str) -> list[Json]:
    """Each name once: the registry takes no two under one."""
    found: dict[str, Json] = {}
    for item in items:
        found.setdefault(str(item.get(key)), item)
    return list(found.values())
