"""How a registration is kept alive, as a plan that either heartbeat carries out.

Refreshed at half its ttl, by its lease; registered again when the registry has lost it; tried again at a quarter of the
ttl at most while the registry is down; given up only when another process has registered the id.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ._errors import LeaseReplaced, NotRegistered, PaulinaError
from ._exchange import Pause, Plan
from ._questions import Questions
from ._records import Json, Registered
from ._registration import ttl_of

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
    try failed, and it goes on trying; `replaced` when another process has registered the id; `stopped`."""
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
        self._earlier: deque[str] = deque(maxlen=REMEMBERED)
        self._failures = 0
        self._logged = ""

    @property
    def held(self) -> Registered | None:
        """What the registry is believed to hold."""
        return None if self._held is None else self._held[1]

    def run(self) -> Plan[None]:
        """Goes on until the id is somebody else's. A `Pause` may end early, when something else is wanted."""
        while True:
            try:
                pause = yield from self._beat(self.wanted)
            except Exception:
                # Nothing that goes wrong here may end what keeps a server known.
                logger.exception("a heartbeat of %s failed", self.id)
                pause = _shortened(ttl_of(self.wanted) / 4, 0.5)
            if pause is None:
                self._told(Beat("replaced", error=LeaseReplaced(self.id)))
                return
            yield Pause(pause)

    def farewell(self) -> Plan[None]:
        """Takes the server out, under its lease: whoever has registered the id since keeps it."""
        if self.beat.state == "replaced":
            return
        try:
            if self._held is not None:
                yield from self._questions.patient(FAREWELL / 2).deregister(self._held[1])
        except PaulinaError as error:
            logger.debug("%s was not taken out, its lease runs out: %s", self.id, error)
        self._told(Beat("stopped", error=NotRegistered(self.id)))

    def _beat(self, wanted: Json) -> Plan[float | None]:
        """Renews the lease, or registers what is not registered yet. Gives the time until the next one, or none."""
        ttl = ttl_of(wanted)
        questions = self._questions.patient(max(ttl / 4, 1.0))
        current = self._held[1] if self._held is not None and self._held[0] is wanted else None
        try:
            if current is not None:
                yield from questions.refresh(current)
            else:
                yield from self._register(questions, wanted)
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
        return _shortened(ttl / 2, 0.1)

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
            registered = yield from questions.register(wanted)
        except PaulinaError:
            if self._held is not None:
                try:
                    yield from questions.refresh(self._held[1])
                except NotRegistered:
                    self._forget()
                except LeaseReplaced:
                    raise
                except PaulinaError:
                    pass
            raise
        self._forget()
        self._held = wanted, registered

    def _forget(self) -> None:
        if self._held is not None:
            self._earlier.append(self._held[1].lease)
            self._held = None

    def _contested(self, questions: Questions, ttl: float) -> Plan[float | None]:
        """Another lease holds the id.

        Is it an earlier one of this server, the registry has gone back in time, as after a restore from a backup: then
        it is registered again.
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
        return None

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
        if said != self._logged:
            logger.log(level, "%s", said)
            self._logged = said


def _shortened(seconds: float, share: float) -> float:
    """A little less than this, by chance, so that many do not come at once."""
    return seconds * (1 - random.random() * share)
