"""Where a registry is, and as whom it is asked."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass

import httpx

from ._errors import InvalidAddress, InvalidToken

DEFAULT = "http://127.0.0.1:7285"


@dataclass(frozen=True, slots=True)
class Address:
    """One address."""

    text: str
    """As it was given."""
    base: str
    socket: str | None = None
    """A path, for a Unix socket."""


def read_addresses(given: str | Iterable[str] | None) -> tuple[Address, ...]:
    """Reads addresses: several, or in one text with commas; without any, PAULINA_URL, or the usual one."""
    if given is None:
        given = os.environ.get("PAULINA_URL", "")
        # An empty variable is as good as none.
        given = given if given.replace(",", "").strip() else DEFAULT
    texts = given.split(",") if isinstance(given, str) else given
    found = tuple(_address(text.strip()) for text in texts if text.strip())
    if not found:
        raise InvalidAddress("", "there is none")
    return found


def _address(text: str) -> Address:
    if text.startswith("unix:"):
        return Address(text, "http://localhost", text.removeprefix("unix:"))
    # What stands before an @ may be a password, which no message and no traceback repeats.
    _, at, after = text.rpartition("@")
    shown = f"…@{after}" if at else text
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise InvalidAddress(shown, "it cannot be read" if at else str(error)) from None
    if url.userinfo:
        detail = "a user and a password in it are not sent; give a token, as token=… or in PAULINA_TOKEN"
        raise InvalidAddress(shown, detail)
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidAddress(shown, "it is neither http nor https")
    return Address(text, str(url.copy_with(query=None, fragment=None)).rstrip("/"))


def authorization(token: str | None) -> str | None:
    """The header for a token; without one given, for PAULINA_TOKEN. An empty one is none."""
    token = os.environ.get("PAULINA_TOKEN") if token is None else token
    if not token:
        return None
    if not all("!" <= character <= "~" for character in token):
        raise InvalidToken
    return f"Bearer {token}"


def trust(given: tuple[Address, ...]) -> ssl.SSLContext | bool:
    """Whom the system trusts (or SSL_CERT_FILE says); where no TLS is spoken, reading all that is saved."""
    spoken = any(address.base.startswith("https:") for address in given)
    return ssl.create_default_context() if spoken else False
