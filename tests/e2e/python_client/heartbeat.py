"""Heartbeats: through a kill, a lost registration, a restore, and a successor; and programs that exit."""

import atexit
import os
import subprocess
import sys
import time

import paulina

from harness import BINARY, create_token, environment, free_port, wait_until
from python_client.common import FOLDER, KIND, TTL, Client, raises


def heartbeats(registry):
    """A registration is kept alive through a kill, a lost registration, and a restore, and is given up to a
    successor."""
    client = Client(registry.url)
    started_at = time.monotonic()
    heartbeat = client.keep_alive("beat", command=["x"], tools=["one"], ttl=TTL)
    id, lease = heartbeat.id, heartbeat.registered(5).lease
    while time.monotonic() < started_at + 2 * TTL + 1:
        assert registry.ids("name=beat") == [id] and heartbeat.status.state == "alive"
        time.sleep(0.05)
    heartbeat.replace("beat", command=["x"], tools=["one", "two"], ttl=TTL)
    wait_until(lambda: registry.ids("tool=two") == [id], 2, "the new tools are registered")

    registry.kill()
    wait_until(lambda: heartbeat.status.state == "failing", TTL, "the heartbeat fails")
    assert isinstance(heartbeat.status.error, paulina.Unreachable)
    time.sleep(2 * TTL)
    registry.start()
    back = time.monotonic()
    end = back + 2 * TTL
    while time.monotonic() < end:
        assert registry.ids("name=beat") == [id], "the server has expired while the registry was down"
        time.sleep(0.05)
    assert heartbeat.status.state == "alive"

    # After 404, it registers again, with another lease. It still knows the first lease.
    copy = registry.database.with_name("copy.db")
    subprocess.run([BINARY, "backup", "--database", registry.database, copy], check=True, capture_output=True)
    registry.curl(f"/v1/servers/{id}", method="DELETE")
    wait_until(lambda: registry.ids("name=beat") == [id], TTL, "registered again after 404")
    assert heartbeat.status.registered.lease != lease

    # Restored from an earlier backup: the id has another lease, which is an earlier one of this server.
    registry.stop()
    for path in registry.database.parent.glob(f"{registry.database.name}*"):
        path.unlink()
    copy.rename(registry.database)
    registry.start()
    held = heartbeat.status.registered.lease
    wait_until(lambda: heartbeat.status.registered.lease != held, 2 * TTL, "registered again after the restore")
    assert registry.ids("name=beat") == [id] and heartbeat.status.state == "alive"

    # A successor takes the id: the heartbeat stops, and does not deregister the successor.
    with Client(registry.url) as another:
        successor = another.keep_alive("beat", id=id, command=["y"], ttl=TTL)
        successor.registered(5)
        wait_until(lambda: heartbeat.status.state == "replaced", TTL, "the successor is noticed")
        raises(paulina.LeaseReplaced, lambda: heartbeat.registered(1))
        heartbeat.stop()
        assert registry.curl(f"/v1/servers/{id}")["command"] == ["y"]
    assert registry.ids("name=beat") == [], "closing a client must deregister its servers"

    # An invalid registration, and an unreachable registry.
    wrong = client.keep_alive("ä", command=["x"], ttl=TTL)
    raises(paulina.ApiError, lambda: wrong.registered(5), "/name")
    wrong.stop()
    unreachable = Client(f"http://127.0.0.1:{free_port()}")
    waiting = unreachable.keep_alive("late", command=["x"], ttl=TTL)
    raises(paulina.Unreachable, lambda: waiting.registered(0.5))
    started_at = time.monotonic()
    unreachable.close()
    assert time.monotonic() - started_at < 0.5, "closing must not wait for an unreachable registry"
    client.close()
    print(
        f"{KIND}: kept alive for {2 * TTL + 1} s, through {2 * TTL} s of downtime, a loss, a restore; stopped when "
        "replaced"
    )


PROGRAMS = {
    "sync": """
import paulina, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
heartbeat = paulina.keep_alive("p", id="p-1", command=["x"], ttl=60)
heartbeat.registered()
print(flush=True)
time.sleep(float(sys.argv[1]))
""",
    "async": """
import asyncio, paulina, signal, sys

async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    heartbeat = paulina.AsyncClient().keep_alive("p", id="p-1", command=["x"], ttl=60)
    await heartbeat.registered()
    print(flush=True)
    await asyncio.sleep(float(sys.argv[1]))

try:
    asyncio.run(main())
except asyncio.CancelledError:
    pass
""",
}


def programs_end(registry):
    """A program deregisters its server when it exits. Environment variables set the registry and the token."""
    for how, seconds in (("by itself", 0.1), ("by SIGTERM", 60)):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAMS[KIND], str(seconds)],
            stdout=subprocess.PIPE,
            env=environment(PAULINA_URL=f"{registry.url},"),
        )
        process.stdout.readline()
        if how == "by SIGTERM":
            assert registry.ids("name=p") == ["p-1"]
            process.terminate()
        assert process.wait(5) == 0 and registry.ids("name=p") == [], (
            f"a program that exits {how} must deregister its server"
        )

    token = create_token(registry, "ci", "register")
    wait_until(lambda: registry.curl("/v1/stats", fail=False) is None, 5, "the registry requires a token")
    refused = raises(paulina.ApiError, Client(registry.url).stats, "PAULINA_TOKEN")
    assert refused.status == 401
    assert token not in repr(Client(registry.url, token))
    assert Client(registry.url, token).register("t", command=["x"], ttl=60).server.owner == "ci"
    os.environ.update(PAULINA_URL=registry.url, PAULINA_TOKEN=token)
    assert (
        [server.id for server in Client().find(owner="ci")] == [server.id for server in paulina.find(owner="ci")] != []
    )
    assert paulina.pick("t").owner == "ci" and paulina.health(paulina.pick("t").id).health == "healthy"
    del os.environ["PAULINA_TOKEN"]

    path = FOLDER / "paulina.sock"
    by_socket = subprocess.Popen(
        [BINARY, "serve", "--listen", f"unix:{path}", "--database", ":memory:"], stderr=subprocess.DEVNULL
    )
    atexit.register(by_socket.kill)
    wait_until(path.exists, 10, "a socket")
    with Client(f"unix:{path}") as client:
        assert client.register("u", command=["x"]).created and client.pick("u").name == "u"
    by_socket.kill()
    print(f"{KIND}: programs deregister their servers when they exit; tokens, the environment, a Unix socket")
