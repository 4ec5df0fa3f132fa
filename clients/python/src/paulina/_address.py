"""The addresses of a registry, and the token that authenticates the client."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass

import httpx

from ._errors import InvalidAddress, InvalidToken

DEFAULT_ADDRESS = "http://127.0.0.1:7285"


@dataclass(frozen=True, slots=True)
class Address:
    """One address."""

    text: str
    """The address as the caller wrote it."""
    base: str
    socket: str | None = None
    """The path of a Unix socket."""


def read_addresses(given: str | Iterable[str] | None) -> tuple[Address, ...]:
    """Parses a list of addresses, or a string with commas; the default is PAULINA_URL, then `DEFAULT_ADDRESS`."""
    if given is None:
        given = os.environ.get("PAULINA_URL", "")
        # An empty variable is treated as unset.
        given = given if given.replace(",", "").strip() else DEFAULT_ADDRESS
    texts = given.split(",") if isinstance(given, str) else given
    addresses = tuple(_parse_address(text.strip()) for text in texts if text.strip())
    if not addresses:
        raise InvalidAddress("", "it is empty")
    return addresses


def _parse_address(text: str) -> Address:
    if text.startswith("unix:"):
        return Address(text, "http://localhost", text.removeprefix("unix:"))
    # The part before an @ may be a password, which no message and no traceback may repeat.
    _, at, after = text.rpartition("@")
    shown = f"…@{after}" if at else text
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise InvalidAddress(shown, "it cannot be parsed" if at else str(error)) from None
    if url.userinfo:
        detail = "a user and a password are not sent; pass a token, as token=… or in PAULINA_TOKEN"
        raise InvalidAddress(shown, detail)
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidAddress(shown, "it is neither http nor https")
    return Address(text, str(url.copy_with(query=None, fragment=None)).rstrip("/"))


def authorization(token: str | None) -> str | None:
    """Returns the `authorization` header; the default token is PAULINA_TOKEN, and an empty one is treated as unset."""
    token = os.environ.get("PAULINA_TOKEN") if token is None else token
    if not token:
        return None
    if not all("!" <= character <= "~" for character in token):
        raise InvalidToken
    return f"Bearer {token}"


def tls_verification(addresses: tuple[Address, ...]) -> ssl.SSLContext | bool:
    """Returns a context that trusts the certificates of the system, or of SSL_CERT_FILE.

    Without an https address they are not loaded, which takes a while.
    """
    uses_tls = any(address.base.startswith("https:") for address in addresses)
    return ssl.create_default_context() if uses_tls else False
