"""nginx in front of a primary and its standby: the loss of the primary, a promotion, and the way back."""

import http.client
import json
import threading
import time
from collections import Counter

from balancer.nginx import FOLDER, Balancer, request
from harness import wait_until
from replication import failover


class Reader:
    """Reads through the balancer all the time, and counts the responses."""

    def __init__(self, port):
        self.port, self.answers, self.slowest, self.stopping = port, Counter(), 0.0, threading.Event()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        while not self.stopping.wait(0.002):
            begin = time.monotonic()
            status, headers, _ = request(self.port, "GET", "/v1/servers?limit=5")
            self.answers[status, headers.get("paulina-role", "primary")] += 1
            self.slowest = max(self.slowest, time.monotonic() - begin)

    def stop(self):
        self.stopping.set()
        self.thread.join()
        return self.answers


def server(id):
    return {"id": id, "name": "files", "transport": "stdio", "command": ["true"], "ttl": 3600}


def register(port, id, expected=201):
    status, _, content = request(port, "POST", "/v1/servers", server(id), {"if-none-match": "*"})
    assert status == expected, f"registering {id}: {status} {content}"
    return content


def event(stream):
    """Returns the next event, without comments."""
    lines = []
    while line := stream.readline().strip():
        if not line.startswith(b":"):
            lines.append(line.partition(b": ")[::2])
    return dict(lines) or event(stream)


def event_delay(port, id):
    """Returns the seconds from a registration to its event at a watcher, both through the balancer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/v1/watch")
    stream = connection.getresponse()
    assert stream.status == 200 and event(stream)[b"event"] == b"snapshot", "a watcher must first receive a snapshot"
    begin = time.monotonic()
    register(port, id)
    received = event(stream)
    took = time.monotonic() - begin
    assert received[b"event"] == b"registered" and json.loads(received[b"data"])["server"]["id"] == id, received
    connection.close()
    return took


def primary_and_standby():
    a, b = failover.Machine("a", FOLDER), failover.Machine("b", FOLDER)
    balancer = Balancer(FOLDER, a.registry.port, b.registry.port)
    a.start(b, standby=False)
    b.start(a, standby=True)
    balancer.start()
    port = balancer.port

    ids = {f"s{number}" for number in range(20)}
    for id in ids:
        register(port, id)
        assert request(port, "PUT", f"/v1/servers/{id}/refresh")[0] == 200, "a refresh must reach the primary"
    assert request(port, "POST", "/v1/refresh", {"ids": ["s1", "s2"]})[0] == 200, (
        "a batch refresh must reach the primary"
    )
    assert set(a.ids()) == ids, "not all are registered at the primary"
    status, _, content = request(port, "GET", "/v1/servers", headers={"host": "evil.example"})
    assert (status, content["code"]) == (403, "host_not_allowed"), f"a foreign host: {status} {content}"
    wait_until(lambda: set(b.ids()) == ids, 20, "the standby lists them")
    reader = Reader(port)
    time.sleep(0.5)
    roles = reader.stop()
    assert set(roles) == {(200, "primary"), (200, "standby")}, f"reads must reach both: {roles}"
    took = event_delay(port, "watched")
    assert took < 1, f"an event was received after {took:.2f} s"
    print(
        f"reads by role: {roles[200, 'primary']} primary, {roles[200, 'standby']} standby; 20 registrations and 21 "
        "refreshes "
        f"at the primary; an event after {took * 1000:.0f} ms"
    )

    wait_until(lambda: "watched" in b.ids(), 20, "the standby lists the last registration")
    reader = Reader(port)
    time.sleep(0.3)
    a.lose()
    content = register(port, "early", 503)
    assert content["code"] == "standby" and content["primary"] == a.registry.url, content
    time.sleep(1)
    failover.promote(b)
    begin = time.monotonic()
    register(port, "late")
    writing = time.monotonic() - begin
    reads = reader.stop()
    assert all(status == 200 for status, _ in reads), f"reads failed: {reads}"
    took = event_delay(port, "watched-too")
    assert took < 1, f"an event was received after {took:.2f} s"
    assert ids | {"watched", "late", "watched-too"} == set(b.ids()), "the registrations of the promoted standby differ"
    print(
        f"the primary lost: {reads.total()} reads continued, the slowest took {reader.slowest * 1000:.0f} ms; a write "
        "right after "
        f"the promotion took {writing * 1000:.0f} ms"
    )

    a.move_database_away()
    a.start(b, standby=True)
    wait_until(lambda: set(a.ids()) == set(b.ids()), 20, "the new standby lists them")
    register(port, "back")
    register(port, "back", 412)
    assert request(port, "PUT", "/v1/servers/back/refresh")[0] == 200, "the second machine must refresh it"
    assert request(port, "DELETE", "/v1/servers/back")[0] == 204, "the second machine must deregister it"
    reader = Reader(port)
    time.sleep(0.5)
    roles = reader.stop()
    assert set(roles) == {(200, "primary"), (200, "standby")}, f"reads must reach both again: {roles}"
    print("the first machine returns as a standby: writes reach the second machine once each")
    a.lose()
    b.lose()
    balancer.stop()
