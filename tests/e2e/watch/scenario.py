"""A registry that is killed, stopped and restored from backups while it has watchers and writers."""

import asyncio
import random
import sqlite3
from collections import Counter

from faults.database import reading
from faults.process import Process, fresh_folder
from watch.changes import Era, Run
from watch.random_clients import Burst, ExpiringWriter, Watcher, Writer
from watch.registrations import FILTERS
from watch.stream import number

KEPT = 20  # changes that are left when the table is truncated


class Scenario:
    """The registry, its watchers and writers, its backups, and the recorded changes."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        database = fresh_folder("watchers") / "now" / "paulina.db"
        database.parent.mkdir()
        self.process = Process(database, "--retention", "3s")
        self.copy_folder, self.backup = database.parent.with_name("copy"), database.parent.with_name("backup.db")
        self.eras, self.runs, self.origin = [Era(0, {})], [Run(0, 0)], None
        self.watchers = [
            Watcher(self, filters, self.new_random(), place % 3 == 0) for place, filters in enumerate(FILTERS)
        ]
        self.writers = [Writer(self, f"w{name}", self.new_random(), 0.03) for name in range(5)]
        self.writers += [ExpiringWriter(self, f"m{name}", self.new_random(), 0.2) for name in range(3)]
        self.bursts, self.tasks, self.ends = [], [], Counter()

    def new_random(self):
        return random.Random(self.chance.random())

    def database(self):
        return self.process.database

    def files(self):
        return list(self.database().parent.glob("paulina.db*"))

    async def start(self, floor):
        """Starts another process. Clients that connect from now on belong to its run."""
        self.runs.append(Run(len(self.eras) - 1, floor))
        await asyncio.to_thread(self.process.start)

    def begin(self, workers):
        self.tasks += [asyncio.create_task(worker.work()) for worker in workers]

    async def run(self, seconds, end):
        """Lets the registry run for some seconds, ends it, reads the changes that it has written, and starts it
        again."""
        if end == "burst":
            self.bursts.append(Burst(self, f"b{len(self.bursts)}", self.new_random(), 0))
            self.begin(self.bursts[-1:])
            end = "kill"
        await asyncio.sleep(seconds)
        for task in self.tasks:
            if task.done():
                task.result()
        self.ends[end] += 1
        await getattr(self, f"end_by_{end}")()

    def read_changes(self):
        """Reads the files that an ended process has left. Returns the number before the first change in the table."""
        for path in self.copy_folder.glob("*"):
            path.unlink()
        self.copy_folder.mkdir(exist_ok=True)
        for path in self.files():
            if not path.name.endswith("-shm"):
                (self.copy_folder / path.name).write_bytes(path.read_bytes())
        copy = sqlite3.connect(self.copy_folder / "paulina.db", isolation_level=None)
        floor = self.eras[-1].collect(copy)
        assert floor == self.runs[-1].floor or not self.eras[-1].rows, "changes were deleted while it ran"
        return floor

    async def end_by_kill(self):
        await asyncio.to_thread(self.process.kill)
        await self.start(self.read_changes())

    async def end_by_stop(self):
        await asyncio.to_thread(self.process.stop)
        await self.start(self.read_changes())

    async def end_by_truncation(self):
        """Stops it. Then deletes old changes, as the registry does at a larger number."""
        await asyncio.to_thread(self.process.stop)
        self.read_changes()
        floor = self.eras[-1].reached - KEPT
        connection = sqlite3.connect(self.database(), isolation_level=None)
        connection.execute("DELETE FROM changes WHERE revision <= ?", [floor])
        connection.close()
        await self.start(floor)

    async def end_by_copy(self):
        """Stops it and takes its file as a backup."""
        await asyncio.to_thread(self.process.stop)
        floor = self.read_changes()
        self.backup.write_bytes(self.database().read_bytes())
        self.origin = len(self.eras) - 1
        await self.start(floor)

    async def end_by_backup(self):
        """Makes an online backup and kills it soon afterwards."""
        self.backup.unlink(missing_ok=True)
        source, target = reading(self.database()), sqlite3.connect(self.backup)
        source.backup(target)
        source.close()
        target.close()
        self.origin = len(self.eras) - 1
        await asyncio.sleep(0.5)
        await self.end_by_kill()

    async def end_by_restore(self):
        """Kills it in the middle of writes and restores the backup."""
        await asyncio.to_thread(self.process.kill)
        self.read_changes()
        await self.restore_backup()

    async def end_by_settling(self):
        """Stops it when all watchers have received everything, and restores the backup."""
        await self.settle()
        await asyncio.to_thread(self.process.stop)
        self.read_changes()
        await self.restore_backup()
        self.begin(self.writers)

    async def restore_backup(self):
        backup = sqlite3.connect(self.backup, isolation_level=None)
        (base,) = backup.execute("SELECT revision FROM settings").fetchone()
        (first,) = backup.execute("SELECT min(revision) FROM changes").fetchone()
        backup.close()
        lost = self.eras[-1].reached - base
        assert lost > 0, f"no change was made after the backup at {base}"
        for path in self.files():
            path.unlink()
        self.database().write_bytes(self.backup.read_bytes())
        self.eras.append(Era(base, self.eras[self.origin].states([base])[base]))
        await self.start(first - 1)

    async def settle(self):
        """Ends the writers, and waits until each watcher has received all its events."""
        writing = self.tasks[len(self.watchers) :]
        del self.tasks[len(self.watchers) :]
        for task in writing:
            task.cancel()
        for error in await asyncio.gather(*writing, return_exceptions=True):
            assert error is None or isinstance(error, asyncio.CancelledError), error
        await asyncio.sleep(5)  # Until the short leases have expired.
        self.eras[-1].collect(reading(self.database()))
        era = self.eras[-1]
        due = {watcher: (era.expected_events(watcher.filters)[0] or [era.base])[-1] for watcher in self.watchers}
        for _ in range(150):
            behind = {
                watcher: last
                for watcher, last in due.items()
                if not watcher.position or not watcher.position.startswith(era.epoch) or number(watcher.position) < last
            }
            if not behind:
                return
            await asyncio.sleep(0.1)
        watcher, last = next(iter(behind.items()))
        raise AssertionError(
            f"{len(behind)} watchers lack events after 15 s: one with {watcher.filters} has reached "
            f"{watcher.position}, not {era.epoch}-{last}"
        )

    def short_run(self):
        return self.chance.uniform(0.2, 1.5)

    async def run_all(self):
        await self.start(0)
        self.begin(self.watchers)
        self.begin(self.writers)
        long, short = 8, self.short_run
        for seconds, end in [
            (long, "kill"),
            (short(), "stop"),
            (short(), "kill"),
            (short(), "backup"),
            (1.5, "burst"),
            (short(), "kill"),
            (short(), "truncation"),
            (short(), "kill"),
            (1, "settling"),
            (short(), "kill"),
            (short(), "copy"),
            (long, "kill"),
            (1.5, "burst"),
            (short(), "stop"),
            (short(), "restore"),
            (short(), "kill"),
            (2, "burst"),
        ]:
            await self.run(seconds, end)
        await asyncio.sleep(1)
        await self.settle()
        for task in self.tasks:
            task.cancel()
        for error in await asyncio.gather(*self.tasks, return_exceptions=True):
            assert error is None or isinstance(error, asyncio.CancelledError), error
        await asyncio.to_thread(self.process.stop)
        self.read_changes()
