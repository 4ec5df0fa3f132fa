"""Reads the name and the capabilities of an MCP SDK's server from its object.

No SDK is imported: the high-level servers of version 1 of the MCP SDK (`FastMCP`), of version 2 (`MCPServer`) and of
FastMCP 4 have the same methods, which also answer the requests of their clients.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from ._records import Json
from ._registration import definition

_LISTS = (
    # The capability, the method that lists it, the method that converts FastMCP's objects to MCP, and its key in both.
    ("tools", "list_tools", "to_mcp_tool", "name", "name"),
    ("resources", "list_resources", "to_mcp_resource", "uri", "uri"),
    ("resources", "list_resource_templates", "to_mcp_template", "uri_template", "uriTemplate"),
    ("prompts", "list_prompts", "to_mcp_prompt", "name", "name"),
)
_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/@ -")


class CannotRead(Exception):
    """The methods of the server are not known."""


async def introspect(server: Any) -> Json:
    """Returns the metadata and the capabilities of the server, as fields of a registration."""
    fields = server_metadata(server)
    for kind, method, convert, attribute, key in _LISTS:
        listed = getattr(server, method, None)
        items = listed() if callable(listed) else None
        if not inspect.isawaitable(items):
            raise CannotRead(
                f"cannot read the tools of a {type(server).__module__}.{type(server).__name__}: "
                "pass tools=[…], resources=[…] and prompts=[…] to announce(…)"
            )
        latest = latest_versions(await items, attribute)
        models = (getattr(item, convert)() if hasattr(item, convert) else item for item in latest)
        fields.setdefault(kind, []).extend(_unique(map(definition, models), key))
    return fields


def server_metadata(server: Any) -> Json:
    """Returns what the server sends to a client at initialization."""
    inner = getattr(server, "_lowlevel_server", None) or getattr(server, "_mcp_server", None) or server
    try:
        options = inner.create_initialization_options()
    except Exception:
        # The public attributes contain the same, except the capabilities.
        options = None

    def first_text(*names: str) -> str | None:
        texts = (getattr(source, name, None) for name in names for source in (options, server))
        return next((text for text in texts if isinstance(text, str) and text.strip()), None)

    title, version = first_text("title"), first_text("server_version", "version")
    description = first_text("description", "instructions")
    return {
        "name": valid_name(first_text("server_name", "name") or ""),
        "title": title and title[:200],
        "version": version and version[:100],
        "description": description and description[:10_000],
        "capabilities": _flags(getattr(options, "capabilities", None)),
    }


def _flags(capabilities: Any) -> Json:
    declared = definition(capabilities) if capabilities is not None else {}
    for kind in ("tools", "resources", "prompts"):
        declared.pop(kind, None)
    if not declared.get("extensions"):
        # The SDK keeps an empty table of extensions, and does not send it.
        declared.pop("extensions", None)
    return {name: options for name, options in declared.items() if isinstance(options, (bool, dict))}


def valid_name(name: str) -> str:
    """Returns a name with only the characters that the registry accepts."""
    valid = "".join(character if character in _NAME_CHARACTERS else "-" for character in name.strip()[:200])
    return valid or "server"


def latest_versions(items: Iterable[Any], attribute: str) -> list[Any]:
    """Returns the latest version of each item, which is the one that FastMCP sends to clients."""
    items = list(items)
    if not any(getattr(item, "version", None) for item in items):
        return items
    try:
        from fastmcp.utilities.versions import dedupe_with_versions  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return items
    return list(dedupe_with_versions(items, lambda item: str(getattr(item, attribute))))


def _unique(items: Iterable[Json], key: str) -> list[Json]:
    """Returns each name once: the registry rejects duplicates."""
    found: dict[str, Json] = {}
    for item in items:
        found.setdefault(str(item.get(key)), item)
    return list(found.values())
