"""Compares what the watchers received to the table `changes`."""

import json
from bisect import bisect_right
from collections import Counter, defaultdict

from watch.registrations import matches
from watch.stream import number

LEASE_TIMES = ("health", "refreshed_at", "expires_at")


class HistoryCheck:
    """Compares the histories to the table."""

    def __init__(self, scenario):
        self.scenario, self.eras, self.counts, self.known = scenario, scenario.eras, Counter(), {}
        assert len({era.epoch for era in self.eras}) == len(self.eras), "a restore has not started a new epoch"
        wanted = defaultdict(set)
        for watcher in scenario.watchers:
            for connection in watcher.connections:
                for item in connection.items:
                    if item.event == "snapshot":
                        wanted[connection.run.era].add(number(item.id))
        self.states = [era.states(wanted[index]) for index, era in enumerate(self.eras)]

    def check_all(self):
        for watcher in self.scenario.watchers:
            self.history(watcher)
        self.acknowledged()

    def history(self, watcher):
        """Checks all events of one watcher, in order."""
        expected = [era.expected_events(watcher.filters) for era in self.eras]
        for connection in watcher.connections:
            since, run, items = connection
            where = f"{watcher.filters} after {since}"
            era = self.eras[run.era]
            from_snapshot = not since or not since.startswith(era.epoch) or number(since) < run.floor
            self.counts["resumed" if since else "started"] += 1
            reached = None if from_snapshot else number(since)
            for item in items:
                epoch, _, revision = item.id.partition("-")
                assert epoch == era.epoch, f"{where}: {item.id} in the epoch {era.epoch}"
                if item.event == "snapshot":
                    assert reached is None, f"{where}: a snapshot at {item.id} instead of the following changes"
                    self.snapshot(where, watcher.filters, run.era, item)
                    self.counts["snapshots"] += 1
                    self.counts["too late"] += bool(since) and since.startswith(era.epoch)
                else:
                    assert reached is not None, f"{where}: {item.event} {item.id} instead of a snapshot"
                    numbers, events = expected[run.era]
                    place = bisect_right(numbers, reached)
                    assert place < len(events), f"{where}: {item.event} {item.id} after the last expected event"
                    assert numbers[place] == int(revision), f"{where}: {item.id} after {reached}, not {numbers[place]}"
                    self.change(where, item, *events[place])
                    self.counts["events"] += 1
                reached = int(revision)

    def change(self, where, item, row, kind, server):
        if self.known.get((item.id, kind)) == item.data:
            return
        correct = {"revision": item.id, "kind": kind, "at": row.at, "server": server}
        shown = json.loads(item.data)
        assert item.event == kind and shown == correct, f"{where}: {item.event} {shown} instead of {correct}"
        self.known[item.id, kind] = item.data

    def snapshot(self, where, filters, era, item):
        shown = json.loads(item.data)
        assert shown["revision"] == item.id, f"{where}: the snapshot {item.id} contains {shown['revision']}"
        timeless = lambda server: {key: value for key, value in server.items() if key not in LEASE_TIMES}  # noqa: E731
        found = {server["id"]: timeless(server) for server in shown["servers"]}
        assert len(found) == len(shown["servers"]), f"{where}: the snapshot {item.id} lists a server twice"
        state = self.states[era][number(item.id)]
        correct = {id: timeless(server) for id, server in state.items() if matches(filters, server)}
        lacking, beyond = correct.keys() - found.keys(), found.keys() - correct.keys()
        assert not lacking and not beyond, (
            f"{where}: the snapshot {item.id} lacks {lacking} and has {beyond} in addition"
        )
        for id, server in correct.items():
            assert found[id] == server, f"{where}: the snapshot {item.id} shows {found[id]} instead of {server}"

    def acknowledged(self):
        """Checks that all acknowledged changes are in the table, in order, and in the histories without filters."""
        placed, ended = [{} for _ in self.eras], [defaultdict(list) for _ in self.eras]
        for era, marks, ends in zip(self.eras, placed, ended):
            for row in era.rows:
                if row.after:
                    marks.setdefault(row.after["title"], row.revision)
                else:
                    ends[row.id].append(row.revision)
        seen = []
        for watcher in self.scenario.watchers:
            if not watcher.filters:
                items = [(connection.run.era, item) for connection in watcher.connections for item in connection.items]
                received = {(era, number(item.id)) for era, item in items if item.event != "snapshot"}
                jumped = {era: number(item.id) for era, item in items if item.event == "snapshot"}
                last = {era: number(item.id) for era, item in items}
                seen.append((received, jumped, last))
        for writer in self.scenario.writers + self.scenario.bursts:
            reached = {}
            for era, id, mark in writer.acknowledged:
                before = reached.get((era, id), 0)
                if mark is None:
                    revision = next((end for end in ended[era][id] if end > before), None)
                else:
                    revision = placed[era].get(mark)
                assert revision is not None, (
                    f"{id}, {mark or 'its deregistration'}, was acknowledged in era {era} and was lost"
                )
                assert revision > before, f"{id}, {mark}, was acknowledged after {before} and has revision {revision}"
                reached[era, id] = revision
                for received, jumped, last in seen:
                    if revision <= last.get(era, 0):
                        missing = (era, revision) not in received and revision > jumped.get(era, 0)
                        assert not missing, f"{id}, {mark}, at {revision} is missing in a history without filters"
                self.counts["acknowledged"] += 1
