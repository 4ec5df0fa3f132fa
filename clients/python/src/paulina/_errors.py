"""What can go wrong when a registry is asked, sorted by what the caller does about it."""

from __future__ import annotations

from typing import NamedTuple


class Violation(NamedTuple):
    """One thing that is wrong with a registration."""

    pointer: str
    """Where, as a JSON pointer (RFC 6901)."""
    detail: str
    """What is wrong there, and what would be right."""


class PaulinaError(Exception):
    """Why a registry did not do what was asked."""

    @property
    def temporary(self) -> bool:
        """Whether the same may succeed later without anything being mended."""
        return False


class InvalidAddress(PaulinaError, ValueError):
    """The address is none: mend it."""

    def __init__(self, address: str, detail: str) -> None:
        super().__init__(address, detail)
        self.address, self.detail = address, detail

    def __str__(self) -> str:
        return (
            f"{self.address!r} is no address of a registry: {self.detail}. "
            "Write it like http://127.0.0.1:7285 or unix:/run/paulina.sock"
        )


class InvalidToken(PaulinaError, ValueError):
    """The token is none: mend it. It is not repeated here, since it may be a secret all the same."""

    def __str__(self) -> str:
        return "what was given as a token is none: it is one word, as `paulina token create` prints it"


class Unreachable(PaulinaError):
    """No registry answers at any of the addresses, or not in time. What was asked may have been done all the same."""

    def __init__(self, addresses: str, reason: str) -> None:
        super().__init__(addresses, reason)
        self.addresses, self.reason = addresses, reason

    @property
    def temporary(self) -> bool:
        """Yes: it may answer later."""
        return True

    def __str__(self) -> str:
        return (
            f"no registry answers at {self.addresses}: {self.reason.removesuffix('.')}. "
            "Start one with `paulina serve`, or name another with PAULINA_URL"
        )


class NotARegistry(PaulinaError):
    """Something answers at the address, and is no registry: mend the address."""

    def __init__(self, address: str, detail: str) -> None:
        super().__init__(address, detail)
        self.address, self.detail = address, detail

    @property
    def temporary(self) -> bool:
        """Yes: a proxy in front of a registry that is down answers for itself."""
        return True

    def __str__(self) -> str:
        return f"what answers at {self.address} is no registry of Paulina's: {self.detail}. Mend the address"


class NotRegistered(PaulinaError):
    """The id is not registered, or not any more: register again."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        return f"{self.id} is not registered: register it again"


class LeaseReplaced(PaulinaError):
    """Another process has registered the id since: leave it alone."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        return f"another process has registered {self.id} since: leave it alone, or register under another id"


class NoHealthyServers(PaulinaError):
    """No server of this name is healthy: wait, or ask for another one."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    @property
    def temporary(self) -> bool:
        """Yes: one may come."""
        return True

    def __str__(self) -> str:
        return f"no server named {self.name!r} is healthy: wait for one with watch(name=…), or ask for another"


class InvalidFilter(PaulinaError, ValueError):
    """The question is wrong: mend the parameter that is named."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Refused(PaulinaError):
    """The registry refuses: its reason says what to do."""

    def __init__(self, code: str, status: int, detail: str, errors: tuple[Violation, ...] = ()) -> None:
        super().__init__(code, status, detail, errors)
        self.code, self.status, self.detail, self.errors = code, status, detail, errors

    @property
    def temporary(self) -> bool:
        """Whether it is for now alone: too much to do, a full disk, a standby."""
        return self.status in (408, 429) or self.status >= 500

    def __str__(self) -> str:
        text = f"{self.detail} ({self.code})"
        if self.status == 401:
            text += ": give one with token=… or PAULINA_TOKEN"
        return text + "".join(f"\n  {pointer or '/'} {detail}" for pointer, detail in self.errors)
