"""Several addresses: dead ones, one whose answers are lost, a standby."""

import atexit
import logging
import os
import signal
import socket
import subprocess
import threading
import time

import paulina
from between import Between
from common import FOLDER, KIND, TTL, Client, raises, started
from helper import BINARY, LITESTREAM, free_port, wait_until


def goes_on(registry):
    other = started("other")
    dead = f"http://127.0.0.1:{free_port()}"
    with Client([dead, registry.url, other.url]) as client:
        client.register("f", id="f-1", command=["x"], ttl=60)
        assert registry.ids("name=f") == ["f-1"] and other.ids("name=f") == []
        heartbeat = client.keep_alive("g", command=["x"], ttl=TTL)
        heartbeat.registered(5)
        registry.kill()
        assert client.find(name="f").first() is None, "the other one is asked, and knows of nothing"
        wait_until(lambda: other.ids("name=g") == [heartbeat.id], TTL + 1, "registered with the other one")
        registry.start()

    cut = Between(registry)
    with Client(f"{cut.url},{registry.url}", timeout=5) as client:
        raises(paulina.Unreachable, lambda: client.register("once", id="once", command=["x"], ttl=60, new_only=True))
        assert cut.requests == 1 and registry.ids("name=once") == ["once"], f"sent {cut.requests} times, and it was done"
    with Client(f"{cut.url},{registry.url}", timeout=5) as client:
        assert not client.register("once", id="twice", command=["x"], ttl=60).created, "the second time finds the first"
        assert cut.requests == 3
    with Client(f"{cut.url},{registry.url}", timeout=5) as client:
        client.deregister("twice")
        assert registry.ids("name=once") == ["once"], "deregistered the first time, which is no error the second time"

    # A standby of the other registry: reads are answered there, writes by the primary.
    replica = f"file://{FOLDER}/replica"
    log = open(FOLDER / "replicate.log", "ab")
    command = [BINARY, "replicate", "--database", other.database, "--to", replica, "--litestream", LITESTREAM]
    sidecar = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    atexit.register(lambda: sidecar.poll() is None and os.killpg(sidecar.pid, signal.SIGKILL))
    standby = started("standby", "--standby", "--restore-from", replica, "--restore-interval", "1s", "--peer", other.url,
                      "--litestream", LITESTREAM)
    with Client(standby.url) as client:
        wait_until(lambda: standby.curl("/readyz", fail=False) == {"status": "ok", "role": "standby"}, 20, "a standby")
        refused = raises(paulina.Refused, lambda: client.register("s", command=["x"]), "standby")
        assert refused.status == 503 and refused.temporary
    with Client([standby.url, other.url]) as client:
        client.register("s", id="s-1", command=["x"], ttl=60, new_only=True)
        assert other.ids("name=s") == ["s-1"], "a standby has done nothing: the next one is asked, always"
    with Client([standby.url, dead]) as client:
        wait_until(lambda: [server.id for server in client.find(name="s")] == ["s-1"], 10, "a standby answers reads")
    os.killpg(sidecar.pid, signal.SIGKILL)
    sidecar.wait()
    seconds = returns(other, standby)
    fails_over(registry)
    print(f"{KIND}: goes on from dead addresses, lost answers and a standby, which comes first for {seconds:.1f} s; "
          "'only new' is sent once")


def returns(primary, standby):
    """After a hiccup of the primary those who only read come back to it, however often they ask; those who write at once."""
    # So slow that the half minute ends between a question and its answer.
    slow = Between(standby, loses=lambda request: False, holds=lambda request: 0.3)
    with Client([primary.url, slow.url]) as reader, Client([primary.url, standby.url]) as writer:
        primary.kill()
        begun = time.monotonic()
        for client in (reader, writer):
            assert [server.id for server in client.find(name="s")] == ["s-1"], "the standby answers"
        primary.start()
        primary.curl("/v1/servers", method="POST",
                     body={"id": "late", "name": "late", "transport": "stdio", "command": ["x"], "ttl": 300})
        assert writer.find(name="late").first() is None, "the standby does not know of it"
        writer.refresh("late")
        assert writer.find(name="late").first().id == "late", "the primary has answered, and is asked first"
        wait_until(lambda: reader.find(name="late").first(), 32, "the primary is asked first again")
        seconds = time.monotonic() - begun
        assert seconds > 29, f"a standby is asked first for a while, and not for {seconds:.1f} s"
        for client in (reader, writer):
            assert client.find(name="late").first(), "and stays the first"
        return seconds


def fails_over(registry):
    """A watch leaves an address that does not answer after its timeout; what it watches may be silent for longer."""
    silent = socket.create_server(("127.0.0.1", 0), backlog=16)
    said = []
    listener = logging.Handler()
    listener.emit = lambda record: said.append(record.getMessage())
    logger = logging.getLogger("paulina")
    logger.addHandler(listener)
    logger.setLevel(logging.DEBUG)
    with Client([f"http://127.0.0.1:{silent.getsockname()[1]}", registry.url], timeout=1) as client:
        begun = time.monotonic()
        watch = client.watch(name="silent")
        assert isinstance(next(watch), paulina.Snapshot) and 1 <= time.monotonic() - begun < 3, "the next one is asked"
        coming = threading.Timer(3, lambda: client.register("silent", command=["x"], ttl=60))
        coming.start()
        assert next(watch).kind == "registered"
    logger.removeHandler(listener)
    logger.setLevel(logging.NOTSET)
    assert not [line for line in said if "broke off" in line], f"{said}: it was silent for 3 s, which is nothing"

