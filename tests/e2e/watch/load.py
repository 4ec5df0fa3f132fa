"""GET /v1/watch under load: how fast a thousand watchers receive a change, and what watchers, among them slow ones,
cost other clients.

    python -m watch.load

Measurements that are compared to each other alternate, with and without the watchers.
"""

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from faults.database import same_sqlite
from watch.file_limit import raise_file_limit
from watch.many_watchers import delivery, idle_watchers
from watch.rules import rules
from watch.slow_watchers import SlowWatchers, one_huge_backlog


def main():
    same_sqlite()
    raise_file_limit()
    asyncio.run(rules())
    delivery()
    idle_watchers()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        asyncio.run(SlowWatchers(pool).run())
    asyncio.run(one_huge_backlog())
    print("watch_load: passed")


if __name__ == "__main__":
    main()
