"""Several addresses: unreachable ones, one whose responses are lost, and a standby."""

import atexit
import logging
import os
import signal
import socket
import subprocess
import threading
import time

import paulina

from harness import BINARY, LITESTREAM, free_port, wait_until
from python_client.common import FOLDER, KIND, TTL, Client, raises, start_registry
from python_client.tcp_proxy import TcpProxy


def failover(registry):
    other = start_registry("other")
    unreachable = f"http://127.0.0.1:{free_port()}"
    with Client([unreachable, registry.url, other.url]) as client:
        client.register("f", id="f-1", command=["x"], ttl=60)
        assert registry.ids("name=f") == ["f-1"] and other.ids("name=f") == []
        heartbeat = client.keep_alive("g", command=["x"], ttl=TTL)
        heartbeat.registered(5)
        registry.kill()
        assert client.find(name="f").first() is None, "the other registry must respond, and has no such server"
        wait_until(lambda: other.ids("name=g") == [heartbeat.id], TTL + 1, "registered with the other registry")
        registry.start()

    proxy = TcpProxy(registry)
    with Client(f"{proxy.url},{registry.url}", timeout=5) as client:
        raises(paulina.Unreachable, lambda: client.register("once", id="once", command=["x"], ttl=60, new_only=True))
        assert proxy.requests == 1 and registry.ids("name=once") == ["once"], (
            f"sent {proxy.requests} times instead of once"
        )
    with Client(f"{proxy.url},{registry.url}", timeout=5) as client:
        assert not client.register("once", id="twice", command=["x"], ttl=60).created, (
            "the second attempt must find the first one executed"
        )
        assert proxy.requests == 3
    with Client(f"{proxy.url},{registry.url}", timeout=5) as client:
        client.deregister("twice")
        assert registry.ids("name=once") == ["once"], "the first attempt deregistered; the second one must not fail"

    # A standby of the other registry: it serves reads, and the primary serves writes.
    replica = f"file://{FOLDER}/replica"
    log = open(FOLDER / "replicate.log", "ab")
    command = [BINARY, "replicate", "--database", other.database, "--to", replica, "--litestream-bin", LITESTREAM]
    sidecar = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    atexit.register(lambda: sidecar.poll() is None and os.killpg(sidecar.pid, signal.SIGKILL))
    standby = start_registry(
        "standby",
        "--standby",
        "--restore-from",
        replica,
        "--restore-interval",
        "1s",
        "--peer",
        other.url,
        "--litestream-bin",
        LITESTREAM,
    )
    with Client(standby.url) as client:
        wait_until(lambda: standby.curl("/readyz", fail=False) == {"status": "ok", "role": "standby"}, 20, "a standby")
        refused = raises(paulina.ApiError, lambda: client.register("s", command=["x"]), "standby")
        assert refused.status == 503 and refused.temporary
    with Client([standby.url, other.url]) as client:
        client.register("s", id="s-1", command=["x"], ttl=60, new_only=True)
        assert other.ids("name=s") == ["s-1"], (
            "a standby executes no write: the client must always try the next address"
        )
    with Client([standby.url, unreachable]) as client:
        wait_until(lambda: [server.id for server in client.find(name="s")] == ["s-1"], 10, "a standby serves reads")
    os.killpg(sidecar.pid, signal.SIGKILL)
    sidecar.wait()
    seconds = return_to_primary(other, standby)
    watch_fails_over(registry)
    print(
        f"{KIND}: fails over from unreachable addresses, lost responses and a standby, which is preferred for "
        f"{seconds:.1f} s; "
        "`new_only` is sent once"
    )


def return_to_primary(primary, standby):
    """After a short failure of the primary, clients that only read return to it later; clients that write return
    immediately."""
    # So slow that the 30 s end between a request and its response.
    slow = TcpProxy(standby, drops=lambda request: False, delay=lambda request: 0.3)
    with Client([primary.url, slow.url]) as reader, Client([primary.url, standby.url]) as writer:
        primary.kill()
        started_at = time.monotonic()
        for client in (reader, writer):
            assert [server.id for server in client.find(name="s")] == ["s-1"], "the standby must respond"
        primary.start()
        primary.curl(
            "/v1/servers",
            method="POST",
            body={"id": "late", "name": "late", "transport": "stdio", "command": ["x"], "ttl": 300},
        )
        assert writer.find(name="late").first() is None, "the standby has no such server"
        writer.refresh("late")
        assert writer.find(name="late").first().id == "late", "the primary has responded and must be preferred"
        wait_until(lambda: reader.find(name="late").first(), 32, "the primary is preferred again")
        seconds = time.monotonic() - started_at
        assert seconds > 29, f"the standby was preferred for {seconds:.1f} s only"
        for client in (reader, writer):
            assert client.find(name="late").first(), "the primary must remain preferred"
        return seconds


def watch_fails_over(registry):
    """A watch fails over from an address that does not respond within the timeout. An open stream may be silent for
    longer."""
    unresponsive = socket.create_server(("127.0.0.1", 0), backlog=16)
    messages = []
    listener = logging.Handler()
    listener.emit = lambda record: messages.append(record.getMessage())
    logger = logging.getLogger("paulina")
    logger.addHandler(listener)
    logger.setLevel(logging.DEBUG)
    with Client([f"http://127.0.0.1:{unresponsive.getsockname()[1]}", registry.url], timeout=1) as client:
        started_at = time.monotonic()
        watch = client.watch(name="silent")
        assert isinstance(next(watch), paulina.Snapshot) and 1 <= time.monotonic() - started_at < 3, (
            "the next address must be used"
        )
        later = threading.Timer(3, lambda: client.register("silent", command=["x"], ttl=60))
        later.start()
        assert next(watch).kind == "registered"
    logger.removeHandler(listener)
    logger.setLevel(logging.NOTSET)
    assert not [line for line in messages if "was lost" in line], f"{messages}: 3 s of silence must not end the stream"
