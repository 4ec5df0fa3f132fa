"""How a registration is kept alive, as a plan that either heartbeat carries out.

Refreshed at half its ttl, by its lease; registered again when the registry has lost it; tried again at a quarter of the
ttl at most while the registry is down; let go when another process has registered the id, for as long as it holds it.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ._errors import LeaseReplaced, NotRegistered, PaulinaError, Refused
from ._failover import Pause, Plan
from ._records import Json, Registered
from ._registration import ttl_of
from ._requests import Questions

logger = logging.getLogger("paulina")

State: TypeAlias = Literal["starting", "alive", "failing", "replaced", "stopped"]

FIRST_PAUSE = 0.25
"""The first pause after a failure; each further one is twice as long."""
FAREWELL = 2.0
"""How long it takes at most to stop."""
REMEMBERED = 32
"""How many earlier leases are known again."""


@dataclass(frozen=True, slots=True)
class Beat:
    """How a heartbeat goes."""

    state: State
    """`starting` until there is an answer; `alive` when its lease was renewed when last tried; `failing` when the last
    try failed, and it goes on trying; `stopped`. `replaced`: another process has registered the id since: this one has
    let go, and takes it up again only when nobody holds it."""
    registered: Registered | None = None
    error: PaulinaError | None = None

    @property
    def settled(self) -> bool:
        """Whether it is known whether it works: that a registry is down is waited for."""
        return self.state != "starting" and not (self.error is not None and self.error.temporary)


class Keeper:
    """What the registry should hold, and what it is believed to hold."""

    def __init__(self, questions: Questions, body: Json, tell: Callable[[Beat], None]) -> None:
        self.wanted = body
        self.id: str = body["id"]
        self.beat = Beat("starting")
        self._questions, self._tell = questions, tell
        self._held: tuple[Json, Registered] | None = None
        self._registering = False
        self._earlier: deque[str] = deque(maxlen=REMEMBERED)
        self._failures = 0
        self._logged = ""

    @property
    def held(self) -> Registered | None:
        """What the registry is believed to hold."""
        return None if self._held is None else self._held[1]

    @property
    def to_deregister(self) -> Registered | str | None:
        """What a process deregisters that ends now and cannot wait for the answer to a registration.

        The registry may have carried that registration out already, under a lease that only its answer names: so the id
        is returned, without a lease.
        """
        return self.id if self._registering else self.held

    def run(self) -> Plan[None]:
        """Goes on for ever. A `Pause` may end early, when something else is wanted."""
        while True:
            turn = self._look if self.beat.state == "replaced" else self._beat
            try:
                pause = yield from turn(self.wanted)
            except Exception:
                # Nothing that goes wrong here may end what keeps a server known.
                logger.exception("a heartbeat of %s failed", self.id)
                pause = _shortened(ttl_of(self.wanted) / 4, 0.5)
            yield Pause(pause)

    def farewell(self) -> Plan[None]:
        """Takes the server out, under its lease: whoever has registered the id since keeps it."""
        replaced = self.beat.error if self.beat.state == "replaced" else None
        try:
            if self._held is not None:
                yield from self._questions.patient(FAREWELL / 2).deregister(self._held[1])
        except PaulinaError as error:
            logger.debug("%s was not taken out, its lease runs out: %s", self.id, error)
        self._told(Beat("stopped", error=replaced or NotRegistered(self.id)))

    def _beat(self, wanted: Json) -> Plan[float]:
        """Renews the lease, or registers what is not registered yet. Gives the time until the next one."""
        ttl = ttl_of(wanted)
        questions = self._patient(ttl)
        current = self._held[1] if self._held is not None and self._held[0] is wanted else None
        try:
            if current is not None:
                refreshed = yield from questions.refresh(current)
                # Whatever a registry says, its lease is neither forgotten nor refreshed without a pause.
                pause = min(max(refreshed.refresh_after_ms / 1000, ttl / 4), ttl)
            else:
                yield from self._register(questions, wanted)
                pause = ttl / 2
        except NotRegistered as error:
            if current is None:
                return self._failed(error, ttl)
            self._forget()
            return 0.0
        except LeaseReplaced:
            return (yield from self._contested(questions, ttl))
        except PaulinaError as error:
            return self._failed(error, ttl)
        self._failures = 0
        self._told(Beat("alive", self.held))
        return _shortened(pause, 0.1)

    def _patient(self, ttl: float) -> Questions:
        return self._questions.patient(max(ttl / 4, 1.0))

    def _failed(self, error: PaulinaError, ttl: float) -> float:
        self._told(Beat("failing", self.held, error))
        if not error.temporary:
            return _shortened(ttl / 2, 0.1)
        pause: float = min(FIRST_PAUSE * 2 ** min(self._failures, 16), ttl / 4)
        self._failures += 1
        return _shortened(pause, 0.5)

    def _register(self, questions: Questions, wanted: Json) -> Plan[None]:
        """Registers. What was registered before is kept alive until that is done."""
        try:
            yield from self._send_registration(questions, wanted)
        except PaulinaError as failed:
            if self._held is not None:
                try:
                    yield from questions.refresh(self._held[1])
                except NotRegistered:
                    self._forget()
                except LeaseReplaced:
                    # It may have been done with only its answer lost: then the other lease is this server's own.
                    if not failed.temporary:
                        raise
                except PaulinaError:
                    pass
            raise

    def _send_registration(self, questions: Questions, wanted: Json) -> Plan[None]:
        self._registering = True
        try:
            registered = yield from questions.register(wanted)
            self._forget()
            self._held = wanted, registered
        finally:
            # Last: a signal may come between any two of these statements.
            self._registering = False

    def _forget(self) -> None:
        if self._held is not None:
            self._earlier.append(self._held[1].lease)
            self._held = None

    def _contested(self, questions: Questions, ttl: float) -> Plan[float]:
        """Another lease holds the id.

        Is it an earlier one of this server, the registry has gone back in time, as after a restore from a backup: then
        it is registered again. Else the id is let go.
        """
        for lease in reversed(self._earlier):
            try:
                yield from questions.refresh(self.id, lease)
            except LeaseReplaced:
                continue
            except NotRegistered:
                pass
            except PaulinaError:
                return _shortened(ttl / 4, 0.5)
            self._forget()
            return 0.0
        self._forget()
        self._told(Beat("replaced", error=LeaseReplaced(self.id)))
        return _shortened(ttl, 0.1)

    def _look(self, wanted: Json) -> Plan[float]:
        """Looks whether anybody still holds the id, and takes it up again if not.

        After a restore from a backup, the lease there may be that of a process which ended before: nobody refreshes it.
        """
        ttl = ttl_of(wanted)
        questions = self._patient(ttl)
        try:
            if (yield from questions.health(self.id)) is not None:
                return _shortened(ttl, 0.1)
            registered = yield from questions.register(wanted, new_only=True)
        except PaulinaError as error:
            taken = isinstance(error, Refused) and error.code == "already_registered"
            if not (taken or error.temporary):
                self._say(logging.WARNING, f"{self.id} is not registered again: {error}")
            return _shortened(ttl, 0.1)
        self._held, self._failures = (wanted, registered), 0
        self._told(Beat("alive", self.held))
        return _shortened(ttl / 2, 0.1)

    def _told(self, beat: Beat) -> None:
        before, self.beat = self.beat, beat
        self._log(before, beat)
        self._tell(beat)

    def _log(self, before: Beat, beat: Beat) -> None:
        """Says each change once. How often the registry was asked in vain is nobody's concern."""
        if beat.state == "alive" and beat.registered is not None:
            has = beat.registered.server.capabilities
            counts = f"tools {len(has.tools)}, resources {len(has.resources)}, prompts {len(has.prompts)}"
            said, level = f"registered {beat.registered.server.name!r} as {self.id}: {counts}", logging.INFO
        elif beat.state == "failing" and beat.error is not None:
            if beat.error.temporary and before.error is not None and before.error.temporary:
                return
            now = " for now" if beat.error.temporary else ""
            said, level = f"{self.id} is not registered{now}: {beat.error}", logging.WARNING
        elif beat.state == "replaced":
            said = f"another process has registered {self.id} since: the registry is left to it"
            level = logging.WARNING
        else:
            return
        self._say(level, said)

    def _say(self, level: int, said: str) -> None:
        if said != self._logged:
            logger.log(level, "%s", said)
            self._logged = said


def _shortened(seconds: float, share: float) -> float:
    """A little less than this, by chance, so that many do not come at once."""
    return seconds * (1 - random.random() * share)
