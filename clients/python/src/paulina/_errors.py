"""The errors of this package, by what the caller can do about them."""

from __future__ import annotations

from typing import NamedTuple


class Violation(NamedTuple):
    """One error in a registration."""

    pointer: str
    """Its place, as a JSON pointer (RFC 6901)."""
    detail: str
    """What is wrong there, and what would be valid."""


class PaulinaError(Exception):
    """The base of all errors of this package."""

    @property
    def temporary(self) -> bool:
        """Whether the same request may succeed later without any fix."""
        return False


class InvalidAddress(PaulinaError, ValueError):
    """The address is not valid: fix it."""

    def __init__(self, address: str, detail: str) -> None:
        super().__init__(address, detail)
        self.address, self.detail = address, detail

    def __str__(self) -> str:
        return (
            f"{self.address!r} is not a valid registry address: {self.detail}. "
            "Write it like http://127.0.0.1:7285 or unix:/run/paulina.sock"
        )


class InvalidToken(PaulinaError, ValueError):
    """The token is not valid: fix it. The message does not repeat it, since it may be a secret."""

    def __str__(self) -> str:
        return "invalid token: a token is one word, as printed by `paulina token create`"


class Unreachable(PaulinaError):
    """No registry answers at any of the addresses, or not in time. The request may have been processed."""

    def __init__(self, addresses: str, reason: str) -> None:
        super().__init__(addresses, reason)
        self.addresses, self.reason = addresses, reason

    @property
    def temporary(self) -> bool:
        """True: the registry may answer later."""
        return True

    def __str__(self) -> str:
        return (
            f"no registry answers at {self.addresses}: {self.reason.removesuffix('.')}. "
            "Start one with `paulina serve`, or set PAULINA_URL to the address of another"
        )


class NotARegistry(PaulinaError):
    """The server at the address is not a Paulina registry: fix the address."""

    def __init__(self, address: str, detail: str) -> None:
        super().__init__(address, detail)
        self.address, self.detail = address, detail

    @property
    def temporary(self) -> bool:
        """True: it may be a proxy in front of a registry that is down."""
        return True

    def __str__(self) -> str:
        return f"the server at {self.address} is not a Paulina registry: {self.detail}. Fix the address"


class NotRegistered(PaulinaError):
    """The id is not registered, or not any more: register it again."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        return f"{self.id} is not registered: register it again"


class LeaseReplaced(PaulinaError):
    """Another process has registered the id: stop using this registration."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        return f"another process has registered {self.id}: leave it to that process, or register under another id"


class NoHealthyServers(PaulinaError):
    """No server of this name is healthy: wait for one, or use another name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    @property
    def temporary(self) -> bool:
        """True: a server of this name may be registered later."""
        return True

    def __str__(self) -> str:
        return f"no server named {self.name!r} is healthy: wait for one with watch(name=…), or use another name"


class InvalidFilter(PaulinaError, ValueError):
    """A filter is not valid: fix the one that the message names."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class ApiError(PaulinaError):
    """The registry rejected the request; `detail` says what to do."""

    def __init__(self, code: str, status: int, detail: str, errors: tuple[Violation, ...] = ()) -> None:
        super().__init__(code, status, detail, errors)
        self.code, self.status, self.detail, self.errors = code, status, detail, errors

    @property
    def temporary(self) -> bool:
        """Whether the same request may succeed later: the registry is overloaded, its disk is full, it is a standby."""
        return self.status in (408, 429) or self.status >= 500

    def __str__(self) -> str:
        text = f"{self.detail} ({self.code})"
        if self.status == 401:
            text += ": pass a token with token=… or PAULINA_TOKEN"
        return text + "".join(f"\n  {pointer or '/'} {detail}" for pointer, detail in self.errors)
