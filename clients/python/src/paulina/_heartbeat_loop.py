"""The loop that keeps a registration alive, as a plan that the thread and the task both carry out.

It refreshes the lease at half its ttl, and registers again if the registry has lost the server. While the registry is
down it retries, at least four times per ttl. If another process has registered the id, it stops refreshing until that
process no longer holds the id.

`decide`, `failed_replacement`, `wait` and `request_timeout` contain these rules; tests/vectors/heartbeat.json tests
that the Rust, Python and TypeScript clients agree.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ._errors import ApiError, LeaseReplaced, NotRegistered, PaulinaError
from ._failover import Plan, Wait
from ._records import Json, Registered
from ._registration import ttl_of
from ._requests import Requests

logger = logging.getLogger("paulina")

State: TypeAlias = Literal["starting", "alive", "failing", "replaced", "stopped"]

Step: TypeAlias = Literal["refresh", "register", "check_previous_lease", "check_holder", "reclaim"]
"""A request of a heartbeat. `check_previous_lease` refreshes an earlier lease of this server to find out whether the
registry was restored from a backup; `check_holder` asks whether the id is registered; `reclaim` registers the id unless
it is taken."""

OutcomeKind: TypeAlias = Literal["ok", "not_registered", "lease_replaced", "temporary_error", "permanent_error"]

Action: TypeAlias = Literal[
    "stay_registered",
    "register_again",
    "check_previous_leases",
    "check_again",
    "stand_back",
    "try_reclaim",
    "back_off",
    "wait_for_fix",
    "let_lapse",
]
"""What follows. `stand_back`: another process holds the id, check once per ttl whether it still does; `check_again`:
whose the lease is could not be found out yet; `wait_for_fix`: the request cannot succeed unless something is fixed;
`let_lapse`: the server itself does not respond (not in Python, where a heartbeat ends with its server)."""

INITIAL_BACKOFF = 0.25
"""The wait after the first failure, in seconds; it doubles with each further failure."""
MAX_DOUBLINGS = 16
SHUTDOWN_TIMEOUT = 2.0
"""How long stopping takes at most."""
PREVIOUS_LEASE_LIMIT = 32
"""How many earlier leases are remembered."""


@dataclass(frozen=True, slots=True)
class HeartbeatStatus:
    """The status of a heartbeat."""

    state: State
    """`starting`: no response yet. `alive`: registered, and the last refresh succeeded. `failing`: the last attempt
    failed, and the heartbeat retries. `replaced`: another process has registered the id; the heartbeat does not refresh
    it any more, and registers again when that process no longer holds the id. `stopped`."""
    registered: Registered | None = None
    error: PaulinaError | None = None

    @property
    def settled(self) -> bool:
        """Whether the registration has succeeded, or failed for a reason that waiting does not remove."""
        return self.state != "starting" and not (self.error is not None and self.error.temporary)


def outcome_of(error: PaulinaError | None) -> OutcomeKind:
    """Returns what the error of a request means to a heartbeat; None if the request succeeded."""
    if error is None:
        return "ok"
    if isinstance(error, NotRegistered):
        return "not_registered"
    if isinstance(error, LeaseReplaced):
        return "lease_replaced"
    return "temporary_error" if error.temporary else "permanent_error"


def decide(step: Step, outcome: OutcomeKind) -> Action:
    """Decides what follows the outcome of a step."""
    match step, outcome:
        case (("refresh" | "register" | "reclaim"), "ok"):
            return "stay_registered"
        case "refresh", "not_registered":
            return "register_again"
        case (("refresh" | "register"), "lease_replaced"):
            return "check_previous_leases"
        case (("refresh" | "register"), "temporary_error"):
            return "back_off"
        case (("refresh" | "register"), _):
            return "wait_for_fix"
        # An earlier lease of this server is current, or none is: the registry was restored from a backup.
        case "check_previous_lease", ("ok" | "not_registered"):
            return "register_again"
        case "check_previous_lease", ("temporary_error" | "permanent_error"):
            return "check_again"
        case "check_holder", "not_registered":
            return "try_reclaim"
        case _:
            return "stand_back"


def failed_replacement(registration: OutcomeKind, current: OutcomeKind) -> OutcomeKind:
    """Returns the outcome of a registration that failed, when refreshing the one that it was to replace had another.

    After a temporary error the registration may have been carried out with only its response lost: then the other lease
    is this server's own.
    """
    return current if current == "lease_replaced" and registration != "temporary_error" else registration


def wait(action: Action, ttl: float, refresh_after: float | None, failures: int) -> tuple[float, int]:
    """Returns the seconds until the next step, and by how many percent at most they are shortened."""
    match action:
        case "stay_registered":
            # Whatever the registry requests, the lease is refreshed in time and not without a pause.
            return (ttl / 2 if refresh_after is None else min(max(refresh_after, ttl / 4), ttl)), 10
        case "register_again" | "check_previous_leases" | "try_reclaim":
            return 0.0, 0
        case "check_again":
            return ttl / 4, 50
        case "stand_back":
            return ttl, 10
        case "back_off":
            return min(INITIAL_BACKOFF * 2.0 ** min(failures, MAX_DOUBLINGS), ttl / 4), 50
        case "wait_for_fix":
            return ttl / 2, 10
        case "let_lapse":
            return ttl / 4, 10


def request_timeout(ttl: float) -> float:
    """Returns how long a heartbeat waits for one response, in seconds."""
    return max(ttl / 4, 1.0)


def shortened(seconds: float, percent: int) -> float:
    """Shortens a wait at random, so that many clients do not send their requests at the same time."""
    return seconds * (1 - random.random() * percent / 100)


class HeartbeatTask:
    """The registration that is wanted, and the one that the registry is believed to hold."""

    def __init__(self, requests: Requests, body: Json, on_status: Callable[[HeartbeatStatus], None]) -> None:
        self.wanted = body
        self.id: str = body["id"]
        self.status = HeartbeatStatus("starting")
        self._requests, self._on_status = requests, on_status
        self._current: tuple[Json, Registered] | None = None
        self._registering = False
        self._previous_leases: deque[str] = deque(maxlen=PREVIOUS_LEASE_LIMIT)
        self._failures = 0
        self._last_log = ""

    @property
    def current(self) -> Registered | None:
        """The registration that the registry is believed to hold."""
        return None if self._current is None else self._current[1]

    @property
    def to_deregister(self) -> Registered | str | None:
        """What to deregister if the process ends now and cannot wait for the response to a registration.

        The registry may have carried out that registration already, under a lease that only the response names: so the
        id is returned, without a lease.
        """
        return self.id if self._registering else self.current

    def run(self) -> Plan[None]:
        """Keeps the registration alive, without end. A `Wait` may end early, when another registration is wanted."""
        while True:
            beat = self._try_reclaim if self.status.state == "replaced" else self._renew
            try:
                seconds = yield from beat(self.wanted)
            except Exception:
                # No error may end the loop.
                logger.exception("unexpected error in the heartbeat of %s", self.id)
                seconds = shortened(*wait("check_again", ttl_of(self.wanted), None, 0))
            yield Wait(seconds)

    def shut_down(self) -> Plan[None]:
        """Deregisters the server with its lease, so that a registration of another process stays."""
        replaced = self.status.error if self.status.state == "replaced" else None
        try:
            if self._current is not None:
                yield from self._requests.with_timeout(SHUTDOWN_TIMEOUT / 2).deregister(self._current[1])
        except PaulinaError as error:
            logger.debug("%s was not deregistered, its lease will expire: %s", self.id, error)
        self._set_status(HeartbeatStatus("stopped", error=replaced or NotRegistered(self.id)))

    def _renew(self, wanted: Json) -> Plan[float]:
        """Refreshes the lease, or registers; returns the seconds until the next time."""
        ttl = ttl_of(wanted)
        requests = self._requests.with_timeout(request_timeout(ttl))
        current = self._current[1] if self._current is not None and self._current[0] is wanted else None
        refresh_after, error = None, None
        try:
            if current is None:
                yield from self._register(requests, wanted)
            else:
                refreshed = yield from requests.refresh(current)
                refresh_after = refreshed.refresh_after_ms / 1000
        except PaulinaError as caught:
            error = caught
        action = decide("register" if current is None else "refresh", outcome_of(error))
        if action == "check_previous_leases":
            return (yield from self._on_lease_replaced(requests, ttl))
        if action == "register_again":
            self._drop_current()
        else:
            self._set_status(HeartbeatStatus("alive" if error is None else "failing", self.current, error))
        return self._next_wait(action, ttl, refresh_after)

    def _next_wait(self, action: Action, ttl: float, refresh_after: float | None = None) -> float:
        seconds, percent = wait(action, ttl, refresh_after, self._failures)
        if action == "stay_registered":
            self._failures = 0
        elif action == "back_off":
            self._failures += 1
        return shortened(seconds, percent)

    def _register(self, requests: Requests, wanted: Json) -> Plan[None]:
        """Registers. If that fails, the current registration is refreshed instead, so that it does not expire."""
        try:
            yield from self._send_registration(requests, wanted)
        except PaulinaError as failed:
            if self._current is not None:
                yield from self._keep_current(requests, self._current[1], failed)
            raise

    def _send_registration(self, requests: Requests, wanted: Json) -> Plan[None]:
        self._registering = True
        try:
            registered = yield from requests.register(wanted)
            self._drop_current()
            self._current = wanted, registered
        finally:
            # Last: a signal may arrive between any two of these statements.
            self._registering = False

    def _keep_current(self, requests: Requests, current: Registered, failed: PaulinaError) -> Plan[None]:
        error = None
        try:
            yield from requests.refresh(current)
        except PaulinaError as caught:
            error = caught
        if isinstance(error, NotRegistered):
            self._drop_current()
        if error is not None and failed_replacement(outcome_of(failed), outcome_of(error)) != outcome_of(failed):
            raise error

    def _drop_current(self) -> None:
        if self._current is not None:
            self._previous_leases.append(self._current[1].lease)
            self._current = None

    def _on_lease_replaced(self, requests: Requests, ttl: float) -> Plan[float]:
        """Finds out whose the lease is that holds the id.

        If it is one of this server's own earlier leases, the registry was restored from a backup: then the server is
        registered again.
        """
        action: Action = "stand_back"
        for lease in reversed(self._previous_leases):
            error = None
            try:
                yield from requests.refresh(self.id, lease)
            except PaulinaError as caught:
                error = caught
            action = decide("check_previous_lease", outcome_of(error))
            if action != "stand_back":
                break
        if action != "check_again":
            self._drop_current()
        if action == "stand_back":
            self._set_status(HeartbeatStatus("replaced", error=LeaseReplaced(self.id)))
        return self._next_wait(action, ttl)

    def _try_reclaim(self, wanted: Json) -> Plan[float]:
        """Registers the id again once its lease has expired.

        The holder may have been an earlier process of this server: after a restore from a backup, no process refreshes
        its lease.
        """
        ttl = ttl_of(wanted)
        requests = self._requests.with_timeout(request_timeout(ttl))
        try:
            holder = yield from requests.health(self.id)
            action = decide("check_holder", "not_registered" if holder is None else "ok")
            if action == "try_reclaim":
                registered = yield from requests.register(wanted, new_only=True)
                self._current = wanted, registered
                action = decide("reclaim", "ok")
                self._set_status(HeartbeatStatus("alive", registered))
        except PaulinaError as error:
            action = decide("reclaim", outcome_of(error))
            is_taken = isinstance(error, ApiError) and error.code == "already_registered"
            if not (is_taken or error.temporary):
                self._log(logging.WARNING, f"{self.id} is not registered again: {error}")
        return self._next_wait(action, ttl)

    def _set_status(self, status: HeartbeatStatus) -> None:
        previous, self.status = self.status, status
        self._log_status(previous, status)
        self._on_status(status)

    def _log_status(self, previous: HeartbeatStatus, status: HeartbeatStatus) -> None:
        """Logs each change once, and not each attempt that failed."""
        if status.state == "alive" and status.registered is not None:
            has = status.registered.server.capabilities
            counts = f"tools {len(has.tools)}, resources {len(has.resources)}, prompts {len(has.prompts)}"
            self._log(logging.INFO, f"registered {status.registered.server.name!r} as {self.id}: {counts}")
        elif status.state == "failing" and status.error is not None:
            if status.error.temporary and previous.error is not None and previous.error.temporary:
                return
            now = " for now" if status.error.temporary else ""
            self._log(logging.WARNING, f"{self.id} is not registered{now}: {status.error}")
        elif status.state == "replaced":
            self._log(logging.WARNING, f"another process has registered {self.id}: it is not refreshed any more")

    def _log(self, level: int, message: str) -> None:
        if message != self._last_log:
            logger.log(level, "%s", message)
            self._last_log = message
