"""The events that 50 watchers receive while servers are written at random, and the registry is killed, stopped and
restored from backups.

    python -m watch.histories [SEED]

Each history is compared to the table `changes`, with a second implementation of the filters. Revision numbers repeat
after a restore: the changes are therefore kept by era, the time between two restores.
"""

import asyncio
import random
import sys
from collections import Counter
from datetime import datetime

from faults.database import same_sqlite
from watch.file_limit import raise_file_limit
from watch.history_check import HistoryCheck
from watch.scenario import Scenario


def histories(seed):
    scenario = Scenario(seed)
    begin = datetime.now()
    asyncio.run(scenario.run_all())
    ran, check = (datetime.now() - begin).total_seconds(), HistoryCheck(scenario)
    check.check_all()
    counts, rows = check.counts, [row for era in scenario.eras for row in era.rows]
    kinds = Counter(row.kind for row in rows)
    revived = sum(row.kind == "registered" and row.after["registered_at"] < row.at for row in rows)
    seconds = (datetime.now() - begin).total_seconds()
    print(
        f"histories: {len(scenario.watchers)} watchers, {len(rows)} changes {dict(kinds)} ({revived} of them "
        f"revived), {counts['acknowledged']} acknowledged, {dict(scenario.ends)}: {counts['events']} events, "
        f"{counts['snapshots']} snapshots, {counts['resumed']} times resumed, {counts['too late']} of them too late; "
        f"ran {ran:.0f} s, checked {seconds - ran:.0f} s",
        flush=True,
    )
    assert scenario.ends["kill"] + scenario.ends["backup"] >= 10 and len(scenario.eras) == 3, (
        "too few kills or restores"
    )
    assert len(rows) > 3000 and kinds["expired"] > 20 and revived > 3, "too few changes for a meaningful test"
    assert counts["too late"] > 0, "no watcher resumed too late"


def main():
    same_sqlite()
    raise_file_limit()
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    histories(seed)
    print("watch_histories: passed")


if __name__ == "__main__":
    main()
