"""What a server says of itself, as it is sent."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias, TypedDict

from ._records import Json

Definitions: TypeAlias = "Iterable[str | Mapping[str, Any] | Any]"
"""Names or URIs, objects as MCP defines them, or the MCP SDK's models of these."""
Inputs: TypeAlias = "Iterable[str | Mapping[str, Any]]"
"""What a client has to provide, by name: a bare name is required and secret."""


class Fields(TypedDict, total=False):
    """What a server says of itself, beside its name."""

    id: str
    """A stable one; else one is made. What was registered under it is replaced."""
    title: str | None
    version: str | None
    description: str | None
    transport: Literal["stdio", "streamable-http", "http", "sse"]
    """Follows from `command` or `url`, but for sse."""
    command: Iterable[str]
    """With stdio: the program and its arguments."""
    url: str
    """With HTTP: the address."""
    tools: Definitions
    resources: Definitions
    """Resources and templates."""
    prompts: Definitions
    capabilities: Mapping[str, Any]
    """Whatever else it can do, by name: true, false, or an object of options."""
    tags: Iterable[str]
    metadata: Mapping[str, str]
    environment: Inputs
    """With stdio: the variables that it needs."""
    headers: Inputs
    """With HTTP: the headers that it needs."""
    ttl: int
    """How long its lease runs without a refresh, in seconds; 30 if not set."""


_KNOWN = Fields.__optional_keys__
_DEFINITIONS = ("tools", "resources", "prompts")


def body(name: str, fields: Mapping[str, Any]) -> Json:
    """The registration that is sent. What is wrong in it, the registry says, all of it at once."""
    unknown = sorted(set(fields) - _KNOWN)
    if unknown:
        raise TypeError(f"a registration has no {', '.join(map(repr, unknown))}; it has {', '.join(sorted(_KNOWN))}")
    given = {key: value for key, value in fields.items() if value is not None}
    whole: Json = {"id": given.pop("id", None) or new_id(name), "name": name}
    whole["transport"] = given.pop("transport", None) or _transport(given)
    capabilities = dict(given.pop("capabilities", {}))
    for kind in _DEFINITIONS:
        if kind in given:
            capabilities[kind] = [definition(item) for item in given.pop(kind)]
    if capabilities:
        whole["capabilities"] = capabilities
    for kind in ("environment", "headers"):
        if kind in given:
            whole[kind] = [_input(item) for item in given.pop(kind)]
    for key in ("command", "tags"):
        if isinstance(given.get(key), str):
            hint = f": {shlex.split(given[key])!r}" if key == "command" else f": [{given[key]!r}]"
            raise TypeError(f"{key} is a list{hint}")
    if "command" in given:
        whole["command"] = [os.fspath(word) for word in given.pop("command")]
    if "tags" in given:
        whole["tags"] = list(given.pop("tags"))
    if "metadata" in given:
        whole["metadata"] = dict(given.pop("metadata"))
    return {**whole, **given}


def _transport(given: Mapping[str, Any]) -> str:
    if ("command" in given) == ("url" in given):
        raise TypeError("a server is reached by one of them: command=[…] (stdio) or url=… (HTTP)")
    return "stdio" if "command" in given else "streamable-http"


def definition(item: Any) -> Any:
    """A tool, resource or prompt as JSON; the MCP SDK's models as the SDK itself sends them."""
    dump = getattr(item, "model_dump", None)
    if dump is not None:
        return dump(by_alias=True, mode="json", exclude_none=True)
    return dict(item) if isinstance(item, Mapping) else item


def _input(item: str | Mapping[str, Any]) -> Json:
    return {"name": item, "required": True, "secret": True} if isinstance(item, str) else dict(item)


def ttl_of(fields: Mapping[str, Any]) -> float:
    """How long a lease runs. What is no `ttl` the registry refuses; here it must not stop the clock."""
    ttl = fields.get("ttl")
    return float(ttl) if isinstance(ttl, int) and ttl >= 1 else 30.0


def encoded(value: Any) -> bytes:
    """JSON, which has no NaN."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def new_id(name: str) -> str:
    """An id that nobody has: made here, so that a second try replaces the first instead of standing beside it."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:100].rstrip("-")
    return f"{slug or 'server'}-{os.urandom(6).hex()}"
