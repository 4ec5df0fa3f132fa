"""Several addresses: dead ones, one whose answers are lost, a standby."""

import atexit
import os
import signal
import socket
import subprocess
import threading

import paulina
from common import FOLDER, KIND, TTL, Client, raises, started
from helper import BINARY, LITESTREAM, free_port, wait_until


class Cut:
    """In front of a registry: passes requests on and cuts the connection instead of answering."""

    def __init__(self, registry):
        self.listener, self.requests, self.behind = socket.create_server(("127.0.0.1", 0)), 0, registry.port
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            with connection, socket.create_connection(("127.0.0.1", self.behind)) as registry:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(65536)
                head, _, body = request.partition(b"\r\n\r\n")
                length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower()[:15] == b"content-length:"), 0)
                while len(body) < length:
                    body += connection.recv(65536)
                self.requests += 1
                registry.sendall(head + b"\r\n\r\n" + body)
                registry.recv(65536)


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

    cut = Cut(registry)
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
    print(f"{KIND}: goes on from dead addresses, lost answers and a standby; 'only new' is sent once")
