"""Registrations as they are sent."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias, TypedDict

from ._records import Json

Definitions: TypeAlias = "Iterable[str | Mapping[str, Any] | Any]"
"""Names or URIs, objects as MCP defines them, or models of the MCP SDK."""
Inputs: TypeAlias = "Iterable[str | Mapping[str, Any]]"
"""The inputs that a client has to provide, by name: a name without options is required and secret."""


class Fields(TypedDict, total=False):
    """The fields of a registration, in addition to the name."""

    id: str
    """A stable id; by default one is generated. A registration under the same id is replaced."""
    title: str | None
    version: str | None
    description: str | None
    transport: Literal["stdio", "streamable-http", "http", "sse"]
    """Inferred from `command` or `url`, except for sse."""
    command: Iterable[str]
    """For stdio: the program and its arguments."""
    url: str
    """For HTTP: the address."""
    tools: Definitions
    resources: Definitions
    """Resources and templates."""
    prompts: Definitions
    capabilities: Mapping[str, Any]
    """All other capabilities by name: true, false, or an object of options."""
    tags: Iterable[str]
    metadata: Mapping[str, str]
    environment: Inputs
    """For stdio: the environment variables that the server needs."""
    headers: Inputs
    """For HTTP: the headers that the server needs."""
    ttl: int
    """How long the lease lasts without a refresh, in seconds; 30 by default."""


DEFAULT_TTL = 30.0
TTL_LIMIT = 86_400
_KNOWN = Fields.__optional_keys__
_DEFINITIONS = ("tools", "resources", "prompts")


def body(name: str, fields: Mapping[str, Any]) -> Json:
    """Returns a registration as JSON. The registry validates it and reports all errors at once."""
    unknown = sorted(set(fields) - _KNOWN)
    if unknown:
        raise TypeError(f"unknown field {', '.join(map(repr, unknown))}; the fields are {', '.join(sorted(_KNOWN))}")
    given = {key: value for key, value in fields.items() if value is not None}
    registration: Json = {"id": given.pop("id", None) or new_id(name), "name": name}
    registration["transport"] = given.pop("transport", None) or _transport(given)
    capabilities = dict(given.pop("capabilities", {}))
    for kind in _DEFINITIONS:
        if kind in given:
            capabilities[kind] = [definition(item) for item in given.pop(kind)]
    if capabilities:
        registration["capabilities"] = capabilities
    for kind in ("environment", "headers"):
        if kind in given:
            registration[kind] = [_input(item) for item in given.pop(kind)]
    for key in ("command", "tags"):
        if isinstance(given.get(key), str):
            hint = f": {shlex.split(given[key])!r}" if key == "command" else f": [{given[key]!r}]"
            raise TypeError(f"{key} is a list{hint}")
    if "command" in given:
        registration["command"] = [os.fspath(word) for word in given.pop("command")]
    if "tags" in given:
        registration["tags"] = list(given.pop("tags"))
    if "metadata" in given:
        registration["metadata"] = dict(given.pop("metadata"))
    return {**registration, **given}


def _transport(given: Mapping[str, Any]) -> str:
    if ("command" in given) == ("url" in given):
        raise TypeError("pass either command=[…] (stdio) or url=… (HTTP)")
    return "stdio" if "command" in given else "streamable-http"


def definition(item: Any) -> Any:
    """Returns a tool, resource or prompt as JSON; models of the MCP SDK as the SDK itself sends them."""
    dump = getattr(item, "model_dump", None)
    if dump is not None:
        return dump(by_alias=True, mode="json", exclude_none=True)
    return dict(item) if isinstance(item, Mapping) else item


def _input(item: str | Mapping[str, Any]) -> Json:
    return {"name": item, "required": True, "secret": True} if isinstance(item, str) else dict(item)


def ttl_of(fields: Mapping[str, Any]) -> float:
    """Returns how long a lease lasts, in seconds. The registry rejects an invalid `ttl`; the waits need a valid one."""
    ttl = fields.get("ttl")
    return float(min(ttl, TTL_LIMIT)) if isinstance(ttl, int) and ttl >= 1 else DEFAULT_TTL


def encoded(value: Any) -> bytes:
    """Returns a value as JSON, which has no NaN."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def new_id(name: str) -> str:
    """Returns a unique id. The client generates it, so that a second attempt replaces the first one."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:100].rstrip("-")
    return f"{slug or 'server'}-{os.urandom(6).hex()}"
