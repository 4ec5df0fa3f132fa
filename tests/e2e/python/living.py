"""Registrations that are kept alive: over a kill, a loss, a restore, a successor; and programs that end."""

import atexit
import os
import subprocess
import sys
import time

import paulina
from common import FOLDER, KIND, TTL, Client, raises
from helper import BINARY, environment, free_port, wait_until


def heartbeats(registry):
    """Kept alive, over a kill, an empty registry, a restored one, and a successor."""
    client = Client(registry.url)
    begun = time.monotonic()
    heartbeat = client.keep_alive("beat", command=["x"], tools=["one"], ttl=TTL)
    id, lease = heartbeat.id, heartbeat.registered(5).lease
    while time.monotonic() < begun + 2 * TTL + 1:
        assert registry.ids("name=beat") == [id] and heartbeat.beat.state == "alive"
        time.sleep(0.05)
    heartbeat.replace("beat", command=["x"], tools=["one", "two"], ttl=TTL)
    wait_until(lambda: registry.ids("tool=two") == [id], 2, "what it can do has changed")

    registry.kill()
    wait_until(lambda: heartbeat.beat.state == "failing", TTL, "the registry is missed")
    assert isinstance(heartbeat.beat.error, paulina.Unreachable)
    time.sleep(2 * TTL)
    registry.start()
    back = time.monotonic()
    end = back + 2 * TTL
    while time.monotonic() < end:
        assert registry.ids("name=beat") == [id], "the registry was away, and the server did not expire"
        time.sleep(0.05)
    assert heartbeat.beat.state == "alive"

    # Lost by the registry: 404, and registered again. Its lease is another one then, and the first one is remembered.
    copy = registry.database.with_name("copy.db")
    subprocess.run([BINARY, "backup", "--database", registry.database, copy], check=True, capture_output=True)
    registry.curl(f"/v1/servers/{id}", method="DELETE")
    wait_until(lambda: registry.ids("name=beat") == [id], TTL, "registered again after 404")
    assert heartbeat.beat.registered.lease != lease

    # Restored from before: another lease holds the id, which was its own.
    registry.stop()
    for path in registry.database.parent.glob(f"{registry.database.name}*"):
        path.unlink()
    copy.rename(registry.database)
    registry.start()
    held = heartbeat.beat.registered.lease
    wait_until(lambda: heartbeat.beat.registered.lease != held, 2 * TTL, "registered again in a registry that went back")
    assert registry.ids("name=beat") == [id] and heartbeat.beat.state == "alive"

    # Somebody else's: it lets go, and does not take the successor out.
    with Client(registry.url) as another:
        successor = another.keep_alive("beat", id=id, command=["y"], ttl=TTL)
        successor.registered(5)
        wait_until(lambda: heartbeat.beat.state == "replaced", TTL, "it notices its successor")
        raises(paulina.LeaseReplaced, lambda: heartbeat.registered(1))
        heartbeat.stop()
        assert registry.curl(f"/v1/servers/{id}")["command"] == ["y"]
    assert registry.ids("name=beat") == [], "closing a client takes its servers out"

    # Never right, and never there.
    wrong = client.keep_alive("ä", command=["x"], ttl=TTL)
    raises(paulina.Refused, lambda: wrong.registered(5), "/name")
    wrong.stop()
    nowhere = Client(f"http://127.0.0.1:{free_port()}")
    waiting = nowhere.keep_alive("late", command=["x"], ttl=TTL)
    raises(paulina.Unreachable, lambda: waiting.registered(0.5))
    begun = time.monotonic()
    nowhere.close()
    assert time.monotonic() - begun < 0.5, "to stop, nobody waits for a registry that is not there"
    client.close()
    print(f"{KIND}: kept alive for {2 * TTL + 1} s, over a kill of {2 * TTL} s, a loss, a restore; let go when replaced")


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
    """A program that ends, or is told to, takes its server out; and the environment says which registry, and as whom."""
    for how, seconds in (("by itself", 0.1), ("by SIGTERM", 60)):
        process = subprocess.Popen([sys.executable, "-c", PROGRAMS[KIND], str(seconds)], stdout=subprocess.PIPE,
                                   env=environment(PAULINA_URL=f"{registry.url},"))
        process.stdout.readline()
        if how == "by SIGTERM":
            assert registry.ids("name=p") == ["p-1"]
            process.terminate()
        assert process.wait(5) == 0 and registry.ids("name=p") == [], f"a program that ends {how} takes its server out"

    command = [BINARY, "token", "create", "--database", registry.database, "--name", "ci", "--role", "register"]
    token = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]
    wait_until(lambda: registry.curl("/v1/stats", fail=False) is None, 5, "the token counts")
    refused = raises(paulina.Refused, Client(registry.url).stats, "PAULINA_TOKEN")
    assert refused.status == 401
    assert token not in repr(Client(registry.url, token))
    assert Client(registry.url, token).register("t", command=["x"], ttl=60).server.owner == "ci"
    os.environ.update(PAULINA_URL=registry.url, PAULINA_TOKEN=token)
    assert [server.id for server in Client().find(owner="ci")] == [server.id for server in paulina.find(owner="ci")] != []
    assert paulina.pick("t").owner == "ci" and paulina.health(paulina.pick("t").id).health == "healthy"
    del os.environ["PAULINA_TOKEN"]

    path = FOLDER / "paulina.sock"
    by_socket = subprocess.Popen([BINARY, "serve", "--listen", f"unix:{path}", "--database", ":memory:"],
                                 stderr=subprocess.DEVNULL)
    atexit.register(by_socket.kill)
    wait_until(path.exists, 10, "a socket")
    with Client(f"unix:{path}") as client:
        assert client.register("u", command=["x"]).created and client.pick("u").name == "u"
    by_socket.kill()
    print(f"{KIND}: programs that end take their servers out; tokens, the environment, a Unix socket")
