"""Closing a client: its heartbeats and watches end, and soon even if the registry hangs."""

import signal
import subprocess
import sys
import threading
import time

from harness import environment
from python_client.common import KIND, Client

MANY = 20
PROGRAMS = {
    "sync": f"""
import paulina
heartbeats = [paulina.keep_alive("hung", command=["x"], ttl=60) for _ in range({MANY})]
for heartbeat in heartbeats:
    heartbeat.registered()
print(flush=True)
input()
""",
    "async": f"""
import asyncio, paulina

async def main():
    client = paulina.AsyncClient()
    for heartbeat in [client.keep_alive("hung", command=["x"], ttl=60) for _ in range({MANY})]:
        await heartbeat.registered()
    print(flush=True)
    await asyncio.to_thread(input)

asyncio.run(main())
""",
}


def shutdown(registry):
    watches_end(registry)
    closed = many_end(registry)
    ended = programs_end_together(registry)
    print(
        f"{KIND}: {MANY} heartbeats end in {closed:.1f} s while the registry hangs, with a program in {ended:.1f} s; "
        "watches end with their client"
    )


def watches_end(registry):
    """A watch ends with its client: while it waits for an event, is not read, or the registry is down."""
    for how in ("waiting", "idle", "down"):
        client = Client(registry.url)
        watch = client.watch(name="nobody")
        next(watch)
        events, ended = [], []

        def listen(watch=watch, events=events, ended=ended):
            events.extend(iter(lambda: next(watch, None), None))
            ended.append(time.monotonic())

        listener = threading.Thread(target=listen, daemon=True)
        if how == "down":
            registry.kill()
        if how != "idle":
            listener.start()
            # Long enough for some pauses between retries.
            time.sleep(3 if how == "down" else 0.3)
        started_at = time.monotonic()
        client.close()
        if how == "idle":
            listener.start()
        listener.join(2)
        assert ended and ended[0] - started_at < 0.5 and events == [], (
            f"{how}: a watch ends with its client, {ended}, {events}"
        )
        if how == "down":
            registry.start()


def many_end(registry):
    client = Client(registry.url)
    heartbeats = [client.keep_alive("hung", command=["x"], ttl=60) for _ in range(MANY)]
    for heartbeat in heartbeats:
        heartbeat.registered(5)
    registry.process.send_signal(signal.SIGSTOP)
    started_at = time.monotonic()
    client.close()
    seconds = time.monotonic() - started_at
    registry.process.send_signal(signal.SIGCONT)
    assert seconds < 2.5, f"{MANY} heartbeats end after {seconds:.1f} s"
    return seconds


def programs_end_together(registry):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAMS[KIND]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(PAULINA_URL=registry.url),
    )
    process.stdout.readline()
    registry.process.send_signal(signal.SIGSTOP)
    started_at = time.monotonic()
    process.communicate(b"\n", timeout=60)
    seconds = time.monotonic() - started_at
    registry.process.send_signal(signal.SIGCONT)
    assert process.returncode == 0 and seconds < 3.5, f"a program with {MANY} heartbeats ends after {seconds:.1f} s"
    return seconds
