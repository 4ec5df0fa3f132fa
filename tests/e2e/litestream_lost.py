"""Machines are lost under load, with the registry and the sidecar at once, and the next one begins with what their replica
has: a state that there was, whole; and it is measured how old that is."""

import asyncio
import atexit
import random
import sys
import time
from itertools import islice
from pathlib import Path
from statistics import median

from replica import Machine
from writers import BEATING, Writers, changes, register

sys.path.append(str(Path(__file__).resolve().parent / "faults"))
from client import Client, listed  # noqa: E402
from process import check_file, reading  # noqa: E402

# Seconds that may be lost: one until Litestream looks, one until it uploads, and one for the work on a busy machine.
WINDOW = 3


def servers(database):
    connection = reading(database)
    found = {id for id, in connection.execute("SELECT id FROM servers")}
    connection.close()
    return found


def kept(told, ids):
    """How many of its changes a process finds in a copy: all up to some point, and none after it."""
    numbers = {int(id.rpartition("-")[2]) for id in ids if id.startswith(f"{told.name}-")}
    state, count = set(), 0 if not numbers else None
    for done, (what, number) in enumerate(islice(changes(), len(told.changes)), 1):
        state ^= {number}
        if state == numbers:
            count = done
    assert count is not None, f"the copy has a state of {told.name} that there never was: {sorted(numbers)}"
    return count


def compare(told, ids, lost_at):
    """How old the newest registration of a copy is, and how many acknowledged changes are not in it."""
    there, missing = [], []
    for one in told:
        count = kept(one, ids)
        there += [(what, *times) for (what, _), times in zip(changes(), one.changes[:count])]
        missing += [(asked, answered) for asked, answered in one.changes[count:] if answered]
    assert there, "the copy has nothing of this machine"
    # Of two processes: what was asked for after something else was answered cannot be there without it.
    latest = max(asked for _, asked, _ in there)
    assert all(answered >= latest for _, answered in missing), "the copy has a change, and lacks one from before it"
    newest = max(answered for what, _, answered in there if what == "register" and answered)
    return lost_at - newest, len(missing)


def serve(machine, before):
    """A registry serves a copy: a new epoch, everybody healthy, and exactly what is in it."""
    ids, epoch = servers(machine.registry.database), check_file(machine.registry.database)[0]
    machine.registry.start()
    found, revision = asyncio.run(listed(Client(machine.registry.port), "limit=1000"))
    assert {server["id"] for server in found} == ids, "what is served is not what is in the copy"
    assert epoch == before, f"the copy is of epoch {epoch}, not of {before}"
    assert not revision.startswith(epoch), "a restored database begins a new epoch"
    return revision.split("-")[0], len(ids)


def lose_machines(folder, rounds):
    machine, windows, missing = Machine(folder / "lost-0"), [], []
    machine.registry.start()
    register(machine.registry.port, [f"beating-{number}" for number in range(BEATING)])
    epoch = machine.registry.curl("/v1/stats")["revision"].split("-")[0]
    for round in range(1, rounds + 1):
        atexit.register(machine.sidecar.end)
        machine.sidecar.start()
        load = Writers(machine.registry.port, f"lost-{round}")
        time.sleep(2 + random.random())
        load.check()
        lost_at = machine.lose()
        told = load.stop(lost=True)
        following = Machine(folder / f"lost-{round}")
        machine.sidecar.restore(following.registry.database)
        window, lost = compare(told, servers(following.registry.database), lost_at)
        windows.append(window)
        missing.append(lost)
        machine = following
        epoch, count = serve(machine, epoch)
    machine.registry.stop()
    print(f"{rounds} machines lost: the newest registration in the copy was {median(windows):.2f} s old in the middle and "
          f"{max(windows):.2f} s at worst; of registrations and deregistrations that were acknowledged, {missing} are missing, "
          f"the last ones, without a hole; the last copy is served with {count} servers, all healthy, in a new epoch", flush=True)
    assert max(windows) < WINDOW, f"a copy was {max(windows):.2f} s old"
