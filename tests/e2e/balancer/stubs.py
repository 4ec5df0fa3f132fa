"""nginx in front of two stubs: which requests it repeats at the second machine, and which it must not."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from balancer.nginx import FOLDER, Balancer, request
from harness import free_port


class Stub(BaseHTTPRequestHandler):
    """A machine with a configurable response, which records the requests."""

    RESPONSES = {
        "done": (200, {}),
        "standby": (503, {"paulina-role": "standby"}),
        "overloaded": (503, {"retry-after": "7"}),
    }

    def answer(self):
        server = self.server
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        server.requests.append((self.command, self.path, body, self.headers["host"]))
        if server.response == "lost":
            return
        status, headers = self.RESPONSES[server.response]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"code": server.response, "machine": server.name}).encode())

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_):
        pass


class Machine:
    """A port with a stub, or without a listener."""

    def __init__(self, name, requests):
        self.name, self.requests, self.port, self.server = name, requests, free_port(), None

    def set_response(self, response):
        if self.server and response == "down":
            self.server.shutdown()
            self.server.server_close()
            self.server = None
        elif response != "down":
            if not self.server:
                self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Stub)
                self.server.name, self.server.requests = self.name, []
                threading.Thread(target=self.server.serve_forever, args=[0.02], daemon=True).start()
            self.server.response, self.server.requests = response, self.requests


# The method, the behavior of the two machines, the number of requests that reach each of them, and the status.
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
    """Checks which requests reach the second machine."""
    requests = [[], []]
    first, second = (Machine(name, log) for name, log in zip("12", requests))
    balancer = Balancer(FOLDER, first.port, second.port)
    balancer.check()
    balancer.start()
    host = f"127.0.0.1:{balancer.port}"
    for method, one, other, reached, expected in WRITES:
        case = f"{method}, the first is {one}, the second {other}"
        first.set_response(one)
        second.set_response(other)
        for log in requests:
            log.clear()
        body = {"x": "y" * 100_000}
        status, headers, content = request(balancer.port, method, "/v1/servers?a=b", body, {"if-none-match": "*"})
        assert status == expected, f"{case}: {status} {content}"
        assert (len(requests[0]), len(requests[1])) == reached, f"{case}: {requests[0]} {requests[1]}"
        sent = (method, "/v1/servers?a=b", json.dumps(body).encode(), host)
        assert all(item == sent for log in requests for item in log), f"{case}: the request was changed"
        if status == 503:
            response = other if one in ("down", "standby") else one
            assert content["code"] == response and headers.get("paulina-role") == Stub.RESPONSES[response][1].get(
                "paulina-role"
            ), case
            assert headers.get("retry-after") == Stub.RESPONSES[response][1].get("retry-after"), (
                f"{case}: Retry-After is missing"
            )
            assert response != "overloaded" or headers.get_content_type() == "application/problem+json", case
    print(f"{len(WRITES)} kinds of writes reach the correct machines only")

    for one, other in [("lost", "done"), ("overloaded", "done"), ("down", "done"), ("done", "down")]:
        first.set_response(one)
        second.set_response(other)
        for path in ["/v1/servers", "/v1/watch"] * 4:
            status, _, content = request(balancer.port, "GET", path)
            assert status == 200 and content["machine"] == ("1" if one == "done" else "2"), (
                f"{path}, {one}, {other}: {status}"
            )
    for log in requests:
        log.clear()
    first.set_response("done")
    second.set_response("done")
    status, *_ = request(balancer.port, "POST", "/v1/servers", "x" * (4 << 20))
    assert status == 413, f"a body of more than 4 MiB: {status}"
    status, *_ = request(balancer.port, "POST", "/v1/promote")
    assert status == 421 and requests == [[], []], f"a promotion: {status}, {requests}"
    balancer.stop()
    print("reads continue with one machine; a body over 4 MiB and a promotion reach none")
