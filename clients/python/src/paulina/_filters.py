"""Which servers, or which tools, somebody asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias, TypedDict

Texts: TypeAlias = "str | Iterable[str]"
"""One, or several that must all hold."""


class WatchFilters(TypedDict, total=False):
    """What a server has to match. Everything asked for must hold."""

    name: Texts
    tool: Texts
    """It offers this tool."""
    prompt: Texts
    resource: Texts
    """It can serve this URI: it registered it, or a template that matches it."""
    capability: Texts
    """It has this capability; `tools`, `resources` and `prompts` mean that it has any."""
    tag: Texts
    tags: Texts
    transport: Texts
    version: Texts
    owner: Texts
    """It was registered with the token of this name."""
    metadata: Mapping[str, str]


class Filters(WatchFilters, total=False):
    """What a server has to match, and how it is told of."""

    q: str
    """What is needed, in words or in a sentence, best first; at most 2,000 characters."""
    match: Literal["any", "all"]
    """With "all", every word of `q` must match, as the beginning of a word; any that are relevant, if not set."""
    healthy: bool | Literal["any"]
    """Only those whose lease runs, if not set."""
    limit: int
    """At most so many; all, page by page, if not set."""
    view: Literal["summary", "full"]
    """A summary has no schemas."""


_TEXTS = ("name", "tool", "prompt", "resource", "capability", "tag", "tags", "transport", "version", "owner")
_OTHERS = ("q", "match", "healthy", "limit", "view")

Pairs: TypeAlias = "tuple[tuple[str, str], ...]"


def pairs(filters: Mapping[str, Any]) -> Pairs:
    """The query parameters that say the same. What is wrong in them, the registry says."""
    found: list[tuple[str, str]] = []
    for key, value in filters.items():
        if value is None:
            continue
        if key in _TEXTS:
            # `tags=a,b` would cut a tag in two; no tag has a comma, and a repeated `tag` finds nothing for one.
            name = "tag" if key == "tags" else key
            found += ((name, text) for text in ([value] if isinstance(value, str) else value))
        elif key == "metadata":
            found += (("metadata", f"{name}:{text}") for name, text in value.items())
        elif key in _OTHERS:
            found.append((key, str(value).lower() if isinstance(value, bool) else str(value)))
        else:
            known = ", ".join((*_TEXTS, "metadata", *_OTHERS))
            raise TypeError(f"there is no filter {key!r}; there are {known}")
    return tuple(found)
