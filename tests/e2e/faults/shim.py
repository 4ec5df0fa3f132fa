"""Controls shim.c: compiles it, sets its control file, and derives from its journal the files after a power loss.

A write is on disk for certain if a sync of its file has completed afterwards. Names (files that were created, removed
or renamed) are on disk after any sync in the folder, as in file systems with a journal of metadata. Of all other
writes, the disk may hold any part: nothing, a prefix, or some of them in any order, the last ones torn.
"""

import mmap
import os
import struct
import subprocess
from pathlib import Path

CREATE, OPEN, WRITE, TRUNCATE, SYNC, SYNC_FOLDER, REMOVE, RENAME = range(1, 9)
LINE = struct.Struct("=qqqq")
FIELDS = {"wall_offset_ms": 0, "stall_ms": 8, "wal_syncs": 16}
SECTOR = 512


class Shim:
    """The shim of one process."""

    def __init__(self, folder, database, *, power=False):
        self.folder, self.database = Path(folder), Path(database)
        self.folder.mkdir(parents=True, exist_ok=True)
        library = self.folder / "shim.so"
        source = Path(__file__).with_name("shim.c")
        flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"]
        subprocess.run(["cc", *flags, "-o", library, source, "-ldl", "-lpthread"], check=True)
        control = self.folder / "control"
        control.write_bytes(bytes(4096))
        self.environment = {
            "LD_PRELOAD": str(library),
            "PAULINA_SHIM": str(control),
            "PAULINA_SHIM_DATABASE": str(database),
        }
        if power:
            self.environment["PAULINA_SHIM_DURABLE"] = str(self.folder)
        self.journal = self.folder / "journal"
        with open(control, "r+b") as file:
            self.control = mmap.mmap(file.fileno(), 4096)

    def __getitem__(self, field):
        return struct.unpack_from("=q", self.control, FIELDS[field])[0]

    def __setitem__(self, field, value):
        struct.pack_into("=q", self.control, FIELDS[field], value)


class Content:
    """The content of one file, independent of its name."""

    def __init__(self, data=b""):
        self.data = bytearray(data)

    def apply(self, kind, offset, data):
        if kind == TRUNCATE:
            del self.data[offset:]
            self.data.extend(bytes(offset - len(self.data)))
            return
        self.data.extend(bytes(max(0, offset - len(self.data))))
        self.data[offset : offset + len(data)] = data


class Disk:
    """The files at the beginning of a journal and their changes, on disk or pending. With `lines`, only that many
    lines of the journal count."""

    def __init__(self, base, journal, lines=None):
        self.names = {path.name: Content(path.read_bytes()) for path in Path(base).iterdir()}
        self.changes = []  # (number, content or None for names, kind, offset or content, data)
        self.synced = {}  # content: the number of the change up to which it is on disk; None: names
        self.lines = self.read(Path(journal).read_bytes(), lines)

    def read(self, text, lines):
        names, inodes = dict(self.names), {}
        number = position = 0
        while position + LINE.size <= len(text) and number != lines:
            kind, inode, offset, length = LINE.unpack_from(text, position)
            data = text[position + LINE.size : position + LINE.size + length]
            if len(data) < length:
                break  # killed during the write
            position += LINE.size + length
            self.line(names, inodes, number, kind, inode, offset, data)
            number += 1
        return number

    def line(self, names, inodes, number, kind, inode, offset, data):
        if kind == CREATE:
            inodes[inode] = names[data.decode()] = content = Content()
            self.changes.append((number, None, kind, content, data.decode()))
        elif kind == OPEN:
            inodes[inode] = names[data.decode()]
        elif kind in (WRITE, TRUNCATE):
            self.changes.append((number, inodes[inode], kind, offset, data))
        elif kind == REMOVE:
            del names[data.decode()]
            self.changes.append((number, None, kind, None, data.decode()))
        elif kind == RENAME:
            old, _, new = data.decode().partition("/")
            names[new] = names.pop(old)
            self.changes.append((number, None, kind, None, data.decode()))
        elif kind in (SYNC, SYNC_FOLDER):
            self.synced[None] = max(offset, self.synced.get(None, 0))
            if kind == SYNC:
                content = inodes[inode]
                self.synced[content] = max(offset, self.synced.get(content, 0))

    def split(self):
        """Returns the changes that are on disk, and those that are pending."""
        done, pending = [], []
        for change in self.changes:
            (done if change[0] < self.synced.get(change[1], 0) else pending).append(change)
        return done, pending

    def apply(self, change):
        _, content, kind, what, data = change
        if content is not None:
            content.apply(kind, what, data)
        elif kind == CREATE:
            self.names[data] = what
        elif kind == REMOVE:
            del self.names[data]
        else:
            old, _, new = data.partition("/")
            self.names[new] = self.names.pop(old)

    def cut(self, how, chance):
        """Simulates a power loss. Returns how many changes were pending and how many of them reached the disk."""
        done, pending = self.split()
        for change in done:
            self.apply(change)
        kept = []
        if how == "prefix":
            kept = pending[: chance.randint(0, len(pending))]
        elif how == "torn":
            kept = self.torn(pending, chance)
        for change in kept:
            self.apply(change)
        return len(pending), len(kept)

    @staticmethod
    def torn(pending, chance):
        """Returns some of the pending changes in any order, the last ones torn. Names keep their order."""
        names = [change for change in pending if change[1] is None]
        rest = [change for change in pending if change[1] is not None]
        kept = chance.sample(rest, chance.randint(0, len(rest)))
        for index in range(max(0, len(kept) - 4), len(kept)):
            number, content, kind, offset, data = kept[index]
            if kind == WRITE and len(data) > SECTOR:
                sectors = chance.randrange(len(data) // SECTOR)
                kept[index] = (number, content, kind, offset, data[: sectors * SECTOR])
        return names[: chance.randint(0, len(names))] + kept

    def write(self, folder):
        folder = Path(folder)
        folder.mkdir(parents=True)
        for name, content in self.names.items():
            (folder / name).write_bytes(content.data)


def same_files(folder, disk):
    """Checks that a folder holds exactly the result of the whole journal, which proves that the journal is complete."""
    done, pending = disk.split()
    for change in sorted(done + pending, key=lambda change: change[0]):
        disk.apply(change)
    actual = {name for name in os.listdir(folder) if not name.endswith("-shm")}
    assert actual == disk.names.keys(), f"the journal has {disk.names.keys()}, the folder holds {actual}"
    for name, content in disk.names.items():
        assert Path(folder, name).read_bytes() == content.data, (
            f"the journal does not account for the content of {name}"
        )
