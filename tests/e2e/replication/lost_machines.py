"""Machines are lost under load, registry and sidecar at once. The next machine starts from their replica, which must
contain a complete earlier state. The test measures how old that state is."""

import asyncio
import atexit
import random
import time
from itertools import islice
from statistics import median

from faults.database import check_file, reading
from faults.http_client import Client, listed
from replication.machine import Machine
from replication.writers import REFRESHED, Writers, changes, register

# Seconds of changes that may be lost: one until Litestream checks the WAL, one until it uploads, one for a busy
# machine.
WINDOW = 3


def servers(database):
    connection = reading(database)
    found = {id for (id,) in connection.execute("SELECT id FROM servers")}
    connection.close()
    return found


def count_replicated(record, ids):
    """Returns how many changes of a writer process a copy contains. It must be a prefix of its changes."""
    numbers = {int(id.rpartition("-")[2]) for id in ids if id.startswith(f"{record.name}-")}
    state, count = set(), 0 if not numbers else None
    for done, (_, number) in enumerate(islice(changes(), len(record.changes)), 1):
        state ^= {number}
        if state == numbers:
            count = done
    assert count is not None, f"the copy has a state of {record.name} that never existed: {sorted(numbers)}"
    return count


def compare(records, ids, lost_at):
    """Returns the age of the newest registration in a copy, and how many acknowledged changes it lacks."""
    there, missing = [], []
    for one in records:
        count = count_replicated(one, ids)
        there += [(what, *times) for (what, _), times in zip(changes(), one.changes[:count])]
        missing += [(asked, answered) for asked, answered in one.changes[count:] if answered]
    assert there, "the copy contains no change of this machine"
    # Across processes: a change requested after the response to another one cannot be in the copy without it.
    latest = max(asked for _, asked, _ in there)
    assert all(answered >= latest for _, answered in missing), "the copy contains a change and lacks an earlier one"
    newest = max(answered for what, _, answered in there if what == "register" and answered)
    return lost_at - newest, len(missing)


def serve(machine, before):
    """Starts a registry with the copy. It serves exactly its servers, all healthy, in a new epoch."""
    ids, epoch = servers(machine.registry.database), check_file(machine.registry.database)[0]
    machine.registry.start()
    found, revision = asyncio.run(listed(Client(machine.registry.port), "limit=1000"))
    assert {server["id"] for server in found} == ids, "the served servers differ from those in the copy"
    assert epoch == before, f"the copy has epoch {epoch} instead of {before}"
    assert not revision.startswith(epoch), "a restored database must begin a new epoch"
    return revision.split("-")[0], len(ids)


def lose_machines(folder, rounds):
    machine, windows, missing = Machine(folder / "lost-0"), [], []
    machine.registry.start()
    register(machine.registry.port, [f"refreshed-{number}" for number in range(REFRESHED)])
    epoch = machine.registry.curl("/v1/stats")["revision"].split("-")[0]
    for round in range(1, rounds + 1):
        atexit.register(machine.sidecar.end)
        machine.sidecar.start()
        load = Writers(machine.registry.port, f"lost-{round}")
        time.sleep(2 + random.random())
        load.check()
        lost_at = machine.lose()
        records = load.stop(lost=True)
        following = Machine(folder / f"lost-{round}")
        machine.sidecar.restore(following.registry.database)
        window, lost = compare(records, servers(following.registry.database), lost_at)
        windows.append(window)
        missing.append(lost)
        machine = following
        epoch, count = serve(machine, epoch)
    machine.registry.stop()
    print(
        f"{rounds} machines lost: the newest registration in the copy was {median(windows):.2f} s old (median) and "
        f"{max(windows):.2f} s at worst; {missing} acknowledged registrations and deregistrations are missing, "
        f"always the last ones, without gaps; the last copy is served with {count} servers, all healthy, in a new "
        "epoch",
        flush=True,
    )
    assert max(windows) < WINDOW, f"a copy was {max(windows):.2f} s old"
