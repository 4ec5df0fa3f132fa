"""How fast a thousand watchers receive a change, and what idle watchers cost the writers."""

import itertools
import re
import time
from statistics import median

from watch.file_limit import WATCHERS
from watch.load_clients import Caller, Crowd, server, start_process, wait_for_watchers

MAX_DELIVERY = 100  # milliseconds until the last watcher has received a change
MAX_COST = 1.1  # how much longer a write may take with idle watchers


def delivery():
    process = start_process("delivery")
    caller = Caller(process.port)
    for place in range(20):
        caller.timed("POST", "/v1/servers", server(f"small-{place}"))
    before = process.resident_mib() * 1024
    crowd = Crowd(process.port, [""] * WATCHERS)
    opened = process.resident_mib() * 1024
    epoch = re.search(rb"\nid: (\w+)-20\n", crowd.snapshots[0][1])[1].decode()
    times, last = [], []
    for revision in range(21, 41):
        time.sleep(0.05)
        begin = time.perf_counter()
        caller.send("POST", "/v1/servers", server(f"new-{revision}"))
        delays = [
            (at - begin) * 1000 for at, _ in crowd.receive(f"id: {epoch}-{revision}\nevent: registered\n".encode())
        ]
        caller.read_response()
        times += delays
        last.append(delays[-1])
    after = process.resident_mib() * 1024
    print(
        f"delivery: {WATCHERS} watchers receive a change after p50 {median(times):.1f} ms, the last of them after p50 "
        f"{median(last):.1f} ms, max {max(last):.1f}; {before:.0f} KiB became {opened:.0f}, {after:.0f} after 20 "
        f"changes: {(opened - before) / WATCHERS:.1f} and {(after - before) / WATCHERS:.1f} KiB each",
        flush=True,
    )
    assert max(last) <= MAX_DELIVERY, f"the last of {WATCHERS} watchers waited {max(last):.0f} ms"
    crowd.close()
    process.stop()


def write_times(caller, marks, count=120):
    """Returns the median of single writes, and of ten times as many refreshes, in milliseconds."""
    posts = [caller.timed("POST", "/v1/servers", server("small-1", f"mark {next(marks)}")) for _ in range(count)]
    return median(posts), median(caller.timed("PUT", "/v1/servers/small-2/refresh") for _ in range(10 * count))


def idle_watchers(turns=16):
    """Measures a registry with and without watchers in turns. Compares each turn with watchers to the two turns
    around it."""
    process, marks = start_process("idle"), itertools.count()
    caller = Caller(process.port)
    for place in range(20):
        caller.timed("POST", "/v1/servers", server(f"small-{place}"))
    queries = [f"?tag=none-{place}" if place % 2 else "?tool=no-server-has-this" for place in range(WATCHERS)]
    without, with_watchers = [write_times(caller, marks)], []
    for _ in range(turns):
        crowd = Crowd(process.port, queries)
        with_watchers.append(write_times(caller, marks))
        crowd.close()
        wait_for_watchers(process.port, 0, 40)
        without.append(write_times(caller, marks))
    process.stop()
    for place, what in enumerate(("a write", "a refresh")):
        ratios = [
            2 * found[place] / (before[place] + after[place])
            for before, found, after in zip(without, with_watchers, without[1:])
        ]
        print(
            f"idle: {what} takes {median(each[place] for each in without):.3f} ms; with {WATCHERS} idle watchers it "
            "takes "
            f"{median(ratios):.3f} of that, {min(ratios):.2f} to {max(ratios):.2f} in {turns} turns",
            flush=True,
        )
        assert median(ratios) <= MAX_COST, f"{what} takes {median(ratios):.2f} times as long with idle watchers"
