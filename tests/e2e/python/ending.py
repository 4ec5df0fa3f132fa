"""What ends with a client, and how long that takes when the registry hangs."""

import signal
import subprocess
import sys
import threading
import time

from common import KIND, Client
from helper import environment

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


def ends(registry):
    watches_end(registry)
    closed = many_end(registry)
    ended = programs_end_together(registry)
    print(f"{KIND}: {MANY} heartbeats of a registry that hangs end in {closed:.1f} s, with a program in {ended:.1f} s; "
          "watches end with their client")


def watches_end(registry):
    """Whether somebody waits for one, for the registry to come back, or nobody for anything."""
    for how in ("waiting", "idle", "down"):
        client = Client(registry.url)
        watch = client.watch(name="nobody")
        next(watch)
        told, ended = [], []

        def listen(watch=watch, told=told, ended=ended):
            told.extend(iter(lambda: next(watch, None), None))
            ended.append(time.monotonic())

        listener = threading.Thread(target=listen, daemon=True)
        if how == "down":
            registry.kill()
        if how != "idle":
            listener.start()
            # Long enough for pauses of some length between one try and the next.
            time.sleep(3 if how == "down" else 0.3)
        begun = time.monotonic()
        client.close()
        if how == "idle":
            listener.start()
        listener.join(2)
        assert ended and ended[0] - begun < 0.5 and told == [], f"{how}: a watch ends with its client, {ended}, {told}"
        if how == "down":
            registry.start()


def many_end(registry):
    client = Client(registry.url)
    heartbeats = [client.keep_alive("hung", command=["x"], ttl=60) for _ in range(MANY)]
    for heartbeat in heartbeats:
        heartbeat.registered(5)
    registry.process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    client.close()
    seconds = time.monotonic() - begun
    registry.process.send_signal(signal.SIGCONT)
    assert seconds < 2.5, f"{MANY} heartbeats end after {seconds:.1f} s"
    return seconds


def programs_end_together(registry):
    process = subprocess.Popen([sys.executable, "-c", PROGRAMS[KIND]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               env=environment(PAULINA_URL=registry.url))
    process.stdout.readline()
    registry.process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    process.communicate(b"\n", timeout=60)
    seconds = time.monotonic() - begun
    registry.process.send_signal(signal.SIGCONT)
    assert process.returncode == 0 and seconds < 3.5, f"a program of {MANY} heartbeats ends after {seconds:.1f} s"
    return seconds
