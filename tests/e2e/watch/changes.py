"""The table `changes`, and the events that a watcher must receive."""

import json
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from watch.registrations import matches


class Row(NamedTuple):
    """A row of `changes`, parsed."""

    revision: int
    at: str
    kind: str
    id: str
    before: dict | None
    after: dict | None

    @classmethod
    def read(cls, revision, at, kind, id, before, after):
        time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)
        time = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return cls(revision, time, kind, id, *(side and json.loads(side) for side in (before, after)))

    def seen_by(self, filters):
        """Returns the kind and the summary that a watcher receives, or None if it receives no event for this change."""
        was, now = (side is not None and matches(filters, side) for side in (self.before, self.after))
        if self.kind == "updated" and was != now:
            return ("registered", self.after) if now else ("deregistered", self.before)
        if was or now:
            return self.kind, self.after if now else self.before
        return None


class Era:
    """All changes between two restores, and the servers at its beginning."""

    def __init__(self, base, servers):
        self.base, self.servers, self.epoch, self.rows = base, servers, None, []

    @property
    def reached(self):
        return self.rows[-1].revision if self.rows else self.base

    def collect(self, connection):
        """Reads new changes from a file. Returns the number before the first change that the table still has."""
        connection.execute("BEGIN")
        epoch, reached = connection.execute("SELECT epoch, revision FROM settings").fetchone()
        found = connection.execute("SELECT * FROM changes WHERE revision > ? ORDER BY revision", [self.reached])
        self.rows += [Row.read(*row) for row in found]
        (first,) = connection.execute("SELECT min(revision) FROM changes").fetchone()
        connection.close()
        assert self.epoch in (None, epoch), f"epoch {epoch} follows {self.epoch} without a restore"
        self.epoch = epoch
        numbers = [row.revision for row in self.rows]
        assert numbers == list(range(self.base + 1, reached + 1)), f"changes have gaps, or do not reach {reached}"
        return reached if first is None else first - 1

    def expected_events(self, filters):
        """Returns what watchers with these filters must receive: revisions, and for each the row, the kind and the
        summary."""
        events = [(row, *seen) for row in self.rows if (seen := row.seen_by(filters))]
        return [row.revision for row, *_ in events], events

    def states(self, revisions):
        """Returns the servers at each of these revisions, by id."""
        servers, rows, states = dict(self.servers), iter(self.rows), {}
        reached = self.base
        for revision in sorted(revisions):
            assert self.base <= revision <= self.reached, f"revision {revision} does not belong to {self.epoch}"
            for row in (next(rows) for _ in range(revision - reached)):
                servers.pop(row.id, None)
                if row.after is not None:
                    servers[row.id] = row.after
            reached = revision
            states[revision] = dict(servers)
        return states


class Run(NamedTuple):
    """One registry process: its era, and the number before the first change in the table at its start."""

    era: int
    floor: int


class Connection(NamedTuple):
    """One connection of a watcher: its position before, the run, and the events received."""

    since: str | None
    run: Run
    items: list
