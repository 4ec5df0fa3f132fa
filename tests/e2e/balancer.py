"""deploy/nginx.conf in a real nginx: before two stubs, for what it sends on and what it must not; then before a primary and
its standby, through the loss of the primary, a promotion, and the way back."""

import atexit
import http.client
import json
import os
import shutil
import subprocess
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import failover
from paulina import ROOT, WORK, free_port, wait_until

FOLDER = failover.FOLDER = WORK / "balancer"
NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
LISTEN, FIRST, SECOND = (f"127.0.0.1:{port}" for port in (7280, 7285, 7286))


def ask(port, method, path, body=None, headers=None):
    """One request on a new connection: status, headers, and the JSON of the body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=40)
    text = None if body is None else json.dumps(body)
    connection.request(method, path, text, {"content-type": "application/json", **(headers or {})})
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    kind = answer.headers.get_content_type()
    return answer.status, answer.headers, json.loads(said) if kind.endswith("json") else said


class Balancer:
    """nginx with deploy/nginx.conf, between other addresses."""

    def __init__(self, folder, first, second):
        assert NGINX, "there is no nginx: install nginx-light"
        self.port, self.process, self.log = free_port(), None, folder / "error.log"
        text = (ROOT / "deploy/nginx.conf").read_text()
        for address, port in [(LISTEN, self.port), (FIRST, first), (SECOND, second)]:
            assert address in text, f"deploy/nginx.conf does not name {address}"
            text = text.replace(address, f"127.0.0.1:{port}")
        (folder / "paulina.conf").write_text(text)
        user = "user root;" if os.geteuid() == 0 else ""
        kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        temporary = " ".join(f'{kind}_temp_path "{folder}/{kind}";' for kind in kinds)
        (folder / "nginx.conf").write_text(f"""
            {user} daemon off; worker_processes 1; pid "{folder}/nginx.pid"; error_log "{self.log}";
            events {{ worker_connections 512; }}
            http {{ access_log "{folder}/access.log"; {temporary} include "{folder}/paulina.conf"; }}""")
        self.command = [NGINX, "-p", folder, "-e", self.log, "-c", folder / "nginx.conf"]

    def check(self):
        done = subprocess.run([*self.command, "-t"], capture_output=True, text=True)
        assert done.returncode == 0 and "[warn]" not in done.stderr, done.stderr.strip()

    def start(self):
        self.process = subprocess.Popen(self.command)
        # Killed, it would leave its worker behind.
        atexit.register(self.stop)
        wait_until(self.answers, 10, "nginx answers")

    def answers(self):
        assert self.process.poll() is None, f"nginx did not start; see {self.log}"
        try:
            ask(self.port, "POST", "/v1/promote")
        except ConnectionError:
            return False
        return True

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Stub(BaseHTTPRequestHandler):
    """A machine that says what it is given to say, and keeps what it was asked."""

    SAYINGS = {"done": (200, {}), "standby": (503, {"paulina-role": "standby"}), "overloaded": (503, {"retry-after": "7"})}

    def answer(self):
        server = self.server
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        server.asked.append((self.command, self.path, body, self.headers["host"]))
        if server.says == "lost":
            return
        status, headers = self.SAYINGS[server.says]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"code": server.says, "machine": server.name}).encode())

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_):
        pass


class Machine:
    """Where a stub listens, or nobody does."""

    def __init__(self, name, asked):
        self.name, self.asked, self.port, self.server = name, asked, free_port(), None

    def be(self, saying):
        if self.server and saying == "down":
            self.server.shutdown()
            self.server.server_close()
            self.server = None
        elif saying != "down":
            if not self.server:
                self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Stub)
                self.server.name, self.server.asked = self.name, []
                threading.Thread(target=self.server.serve_forever, args=[0.02], daemon=True).start()
            self.server.says, self.server.asked = saying, self.asked


# What is asked, what the two machines do, how many requests reach each of them, and the status.
WRITES = [
    ("POST", "done", "done", (1, 0), 200),
    ("POST", "standby", "done", (1, 1), 200),
    ("PUT", "standby", "done", (1, 1), 200),
    ("DELETE", "standby", "done", (1, 1), 200),
    ("POST", "standby", "standby", (1, 1), 503),
    ("POST", "overloaded", "done", (1, 0), 503),
    ("PUT", "overloaded", "done", (1, 0), 503),
    ("POST", "lost", "done", (1, 0), 502),
    ("PUT", "lost", "done", (1, 1), 200),
    ("DELETE", "lost", "done", (1, 1), 200),
    ("POST", "down", "done", (0, 1), 200),
    ("PUT", "down", "done", (0, 1), 200),
    ("POST", "down", "overloaded", (0, 1), 503),
    ("POST", "down", "standby", (0, 2), 503),
    ("POST", "standby", "down", (1, 0), 502),
]


def stubs():
    """What is sent on to the second machine, and what not."""
    asked = [[], []]
    first, second = (Machine(name, log) for name, log in zip("12", asked))
    balancer = Balancer(FOLDER, first.port, second.port)
    balancer.check()
    balancer.start()
    host = f"127.0.0.1:{balancer.port}"
    for method, one, other, reached, expected in WRITES:
        case = f"{method}, the first is {one}, the second {other}"
        first.be(one)
        second.be(other)
        for log in asked:
            log.clear()
        body = {"x": "y" * 100_000}
        status, headers, said = ask(balancer.port, method, "/v1/servers?a=b", body, {"if-none-match": "*"})
        assert status == expected, f"{case}: {status} {said}"
        assert (len(asked[0]), len(asked[1])) == reached, f"{case}: {asked[0]} {asked[1]}"
        sent = (method, "/v1/servers?a=b", json.dumps(body).encode(), host)
        assert all(item == sent for log in asked for item in log), f"{case}: it was changed on the way"
        if status == 503:
            saying = other if one in ("down", "standby") else one
            assert said["code"] == saying and headers.get("paulina-role") == Stub.SAYINGS[saying][1].get("paulina-role"), case
            assert headers.get("retry-after") == Stub.SAYINGS[saying][1].get("retry-after"), f"{case}: Retry-After is lost"
            assert saying != "overloaded" or headers.get_content_type() == "application/problem+json", case
    print(f"{len(WRITES)} kinds of writes reach the machine that they should, and no other")

    for one, other in [("lost", "done"), ("overloaded", "done"), ("down", "done"), ("done", "down")]:
        first.be(one)
        second.be(other)
        for path in ["/v1/servers", "/v1/watch"] * 4:
            status, _, said = ask(balancer.port, "GET", path)
            assert status == 200 and said["machine"] == ("1" if one == "done" else "2"), f"{path}, {one}, {other}: {status}"
    for log in asked:
        log.clear()
    first.be("done")
    second.be("done")
    status, *_ = ask(balancer.port, "POST", "/v1/servers", "x" * (4 << 20))
    assert status == 413, f"a body of more than 4 MiB: {status}"
    status, *_ = ask(balancer.port, "POST", "/v1/promote")
    assert status == 421 and asked == [[], []], f"a promotion, and to whom it goes: {status}"
    balancer.stop()
    print("reads go on with one machine; a body over 4 MiB and a promotion reach none")


class Reader:
    """Reads through the balancer all the time, and keeps what came."""

    def __init__(self, port):
        self.port, self.answers, self.slowest, self.stopping = port, Counter(), 0.0, threading.Event()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        while not self.stopping.wait(0.002):
            begin = time.monotonic()
            status, headers, _ = ask(self.port, "GET", "/v1/servers?limit=5")
            self.answers[status, headers.get("paulina-role", "primary")] += 1
            self.slowest = max(self.slowest, time.monotonic() - begin)

    def stop(self):
        self.stopping.set()
        self.thread.join()
        return self.answers


def server(id):
    return {"id": id, "name": "files", "transport": "stdio", "command": ["true"], "ttl": 3600}


def register(port, id, expected=201):
    status, _, said = ask(port, "POST", "/v1/servers", server(id), {"if-none-match": "*"})
    assert status == expected, f"registering {id}: {status} {said}"
    return said


def event(stream):
    """The next event that is no comment."""
    lines = []
    while line := stream.readline().strip():
        if not line.startswith(b":"):
            lines.append(line.partition(b": ")[::2])
    return dict(lines) or event(stream)


def watched(port, id):
    """Seconds from a registration to its event at a watcher, both through the balancer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/v1/watch")
    stream = connection.getresponse()
    assert stream.status == 200 and event(stream)[b"event"] == b"snapshot", "a watcher is told what there is"
    begin = time.monotonic()
    register(port, id)
    told = event(stream)
    took = time.monotonic() - begin
    assert told[b"event"] == b"registered" and json.loads(told[b"data"])["server"]["id"] == id, told
    connection.close()
    return took


def pair():
    a, b = failover.Machine("a"), failover.Machine("b")
    balancer = Balancer(FOLDER, a.registry.port, b.registry.port)
    a.start(b, standby=False)
    b.start(a, standby=True)
    balancer.start()
    port = balancer.port

    ids = {f"s{number}" for number in range(20)}
    for id in ids:
        register(port, id)
        assert ask(port, "PUT", f"/v1/servers/{id}/refresh")[0] == 200, "a refresh goes to the primary"
    assert ask(port, "POST", "/v1/refresh", {"ids": ["s1", "s2"]})[0] == 200, "many refreshes do, too"
    assert set(a.ids()) == ids, "all are registered at the primary"
    status, _, said = ask(port, "GET", "/v1/servers", headers={"host": "evil.example"})
    assert (status, said["code"]) == (403, "host_not_allowed"), f"a name that is not the registry's: {status} {said}"
    wait_until(lambda: set(b.ids()) == ids, 20, "the standby lists them")
    reader = Reader(port)
    time.sleep(0.5)
    roles = reader.stop()
    assert set(roles) == {(200, "primary"), (200, "standby")}, f"reads go to both: {roles}"
    took = watched(port, "watched")
    assert took < 1, f"an event came after {took:.2f} s"
    print(f"reads by role: {roles[200, 'primary']} primary, {roles[200, 'standby']} standby; 20 registrations and 21 refreshes "
          f"at the primary; an event after {took * 1000:.0f} ms")

    wait_until(lambda: "watched" in b.ids(), 20, "the standby lists the last one")
    reader = Reader(port)
    time.sleep(0.3)
    a.lose()
    said = register(port, "early", 503)
    assert said["code"] == "standby" and said["primary"] == a.registry.url, said
    time.sleep(1)
    failover.promote(b)
    begin = time.monotonic()
    register(port, "late")
    writing = time.monotonic() - begin
    reads = reader.stop()
    assert all(status == 200 for status, _ in reads), f"reads went on: {reads}"
    took = watched(port, "watched-too")
    assert took < 1, f"an event came after {took:.2f} s"
    assert ids | {"watched", "late", "watched-too"} == set(b.ids()), "nothing is lost, and nothing else is there"
    print(f"the primary lost: {reads.total()} reads went on, the slowest took {reader.slowest * 1000:.0f} ms; a write right after "
          f"the promotion took {writing * 1000:.0f} ms")

    a.set_aside()
    a.start(b, standby=True)
    wait_until(lambda: set(a.ids()) == set(b.ids()), 20, "the other way round, the standby lists them")
    register(port, "back")
    register(port, "back", 412)
    assert ask(port, "PUT", "/v1/servers/back/refresh")[0] == 200, "the second machine refreshes it"
    assert ask(port, "DELETE", "/v1/servers/back")[0] == 204, "the second machine takes it out"
    reader = Reader(port)
    time.sleep(0.5)
    roles = reader.stop()
    assert set(roles) == {(200, "primary"), (200, "standby")}, f"reads go to both again: {roles}"
    print("the first machine back as a standby: writes reach the second, each once")
    a.lose()
    b.lose()
    balancer.stop()


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    stubs()
    pair()
    print("balancer: passed")


if __name__ == "__main__":
    main()
