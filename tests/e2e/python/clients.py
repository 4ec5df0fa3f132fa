"""The Python client against real registries that are killed, emptied, restored and unwilling.

    clients.py sync GROUP           the client that waits
    clients.py async GROUP          the one for asyncio

Groups run beside each other, since most of a trial is waiting.
"""

import shutil
import sys
import time

from asking import asks
from common import FOLDER, started
from ending import ends
from going_on import goes_on
from living import heartbeats, programs_end
from replacing import replaces
from watching import watches

GROUPS = {
    "used": (asks, heartbeats, watches, ends, programs_end),
    "lost": (replaces, goes_on),
}


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    registry = started("one")
    for trial in GROUPS[sys.argv[2]]:
        begun = time.monotonic()
        trial(registry)
        print(f"    {time.monotonic() - begun:.1f} s", flush=True)


main()
