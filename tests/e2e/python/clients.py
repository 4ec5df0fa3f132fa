"""The Python client against real registries that are killed, emptied, restored and unwilling.

    clients.py sync           the client that waits
    clients.py async          the one for asyncio
"""

import shutil
import time

from asking import asks
from common import FOLDER, started
from going_on import goes_on
from living import heartbeats, programs_end
from watching import watches


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    registry = started("one")
    for trial in (asks, heartbeats, watches, goes_on, programs_end):
        begun = time.monotonic()
        trial(registry)
        print(f"    {time.monotonic() - begun:.1f} s", flush=True)


main()
