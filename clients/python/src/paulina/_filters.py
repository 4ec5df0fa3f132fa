"""The filters of `find`, `tools` and `watch`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias, TypedDict

Texts: TypeAlias = "str | Iterable[str]"
"""One value, or several that must all match."""


class WatchFilters(TypedDict, total=False):
    """Filters for servers; all of them must match."""

    name: Texts
    tool: Texts
    """The server offers this tool."""
    prompt: Texts
    resource: Texts
    """The server registered this URI, or a template that matches it."""
    capability: Texts
    """The server has this capability; `tools`, `resources` and `prompts` mean that it offers at least one."""
    tag: Texts
    tags: Texts
    transport: Texts
    version: Texts
    owner: Texts
    """The server was registered with the token of this name."""
    metadata: Mapping[str, str]


class Filters(WatchFilters, total=False):
    """Filters for servers, and the form of the result."""

    q: str
    """Full-text search, with words or a sentence, best match first; at most 2,000 characters."""
    match: Literal["any", "all"]
    """With "all", every word of `q` must match the beginning of a word; by default, the relevant ones."""
    healthy: bool | Literal["any"]
    """By default, only servers whose lease has not expired."""
    limit: int
    """The maximum number of results; by default all, page by page."""
    view: Literal["summary", "full"]
    """A summary contains no schemas."""


_TEXTS = tuple(name for name in WatchFilters.__annotations__ if name != "metadata")
_OTHERS = ("q", "match", "healthy", "limit", "view")

Pairs: TypeAlias = "tuple[tuple[str, str], ...]"


def pairs(filters: Mapping[str, Any]) -> Pairs:
    """Returns the filters as query parameters. The registry validates their values."""
    query: list[tuple[str, str]] = []
    for key, value in filters.items():
        if value is None:
            continue
        if key in _TEXTS:
            # `tags=a,b` would match the tags a and b. No tag contains a comma, so a `tag` with one matches nothing.
            name = "tag" if key == "tags" else key
            query += ((name, text) for text in ([value] if isinstance(value, str) else value))
        elif key == "metadata":
            query += (("metadata", f"{name}:{text}") for name, text in value.items())
        elif key in _OTHERS:
            query.append((key, str(value).lower() if isinstance(value, bool) else str(value)))
        else:
            known = ", ".join((*_TEXTS, "metadata", *_OTHERS))
            raise TypeError(f"unknown filter {key!r}; the filters are {known}")
    return tuple(query)
