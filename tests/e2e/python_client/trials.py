"""The Python client with real registries that are killed, emptied, restored, or refuse requests.

    python -m python_client.trials sync GROUP           the synchronous client
    python -m python_client.trials async GROUP          the client for asyncio

The groups run at the same time, because a trial mostly waits.
"""

import shutil
import sys
import time

from python_client.common import FOLDER, start_registry
from python_client.failover import failover
from python_client.heartbeat import heartbeats, programs_end
from python_client.queries import queries
from python_client.replaced_leases import replaced_leases
from python_client.shutdown import shutdown
from python_client.watch import watch_changes

GROUPS = {
    "used": (queries, heartbeats, watch_changes, shutdown, programs_end),
    "lost": (replaced_leases, failover),
}


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    registry = start_registry("one")
    for trial in GROUPS[sys.argv[2]]:
        started_at = time.monotonic()
        trial(registry)
        print(f"    {time.monotonic() - started_at:.1f} s", flush=True)


main()
