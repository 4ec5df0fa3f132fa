"""Fast clients for measurements, and the registries that they measure."""

import http.client
import json
import re
import select
import socket
import time

from faults.process import Process, fresh_folder


def start_process(name, *arguments):
    process = Process(fresh_folder(f"watchers-{name}") / "now" / "paulina.db", *arguments)
    process.database.parent.mkdir()
    process.start()
    return process


def server(id, title=None, tools=10, description="short"):
    tools = [{"name": f"{id}-tool-{place}", "description": description} for place in range(tools)]
    return {
        "id": id,
        "name": "small",
        "title": title,
        "transport": "stdio",
        "command": ["run"],
        "ttl": 3600,
        "capabilities": {"tools": tools},
    }


class Caller:
    """One client with its own connection, as fast as Python allows."""

    def __init__(self, port):
        self.connection = socket.create_connection(("127.0.0.1", port), 20)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, method, path, body=None):
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        self.connection.sendall(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)

    def read_response(self):
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self.connection.recv(1 << 16)
        missing = end + 4 + int(re.search(rb"content-length: (\d+)", received)[1]) - len(received)
        while missing > 0:
            missing -= len(self.connection.recv(1 << 16))
        assert received[9:12] in (b"200", b"201"), received

    def timed(self, *request):
        """Returns the milliseconds that one request takes."""
        begin = time.perf_counter()
        self.send(*request)
        self.read_response()
        return (time.perf_counter() - begin) * 1000


class Crowd:
    """Many watchers in one event loop."""

    def __init__(self, port, queries):
        self.poll, self.sockets, self.received = select.epoll(), {}, {}
        for query in queries:
            connection = socket.create_connection(("127.0.0.1", port), 20)
            connection.sendall(f"GET /v1/watch{query} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
            connection.setblocking(False)
            self.sockets[connection.fileno()] = connection
            self.poll.register(connection, select.EPOLLIN)
        self.snapshots = self.receive(b"\nevent: snapshot\n")

    def receive(self, mark):
        """Waits until each has the whole event with this mark. Returns for each the time and the bytes received."""
        waiting, delivered, end = set(self.sockets), [], time.perf_counter() + 20
        self.received = dict.fromkeys(waiting, b"")
        while waiting:
            assert time.perf_counter() < end, f"{len(waiting)} of {len(self.sockets)} watchers have not received {mark}"
            for place, _ in self.poll.poll(1):
                received = self.sockets[place].recv(1 << 18)
                assert received, "a watcher was disconnected"
                self.received[place] += received
                if place in waiting and self.received[place].endswith(b"\n\n\r\n") and mark in self.received[place]:
                    waiting.remove(place)
                    delivered.append((time.perf_counter(), self.received[place]))
        return delivered

    def close(self):
        for connection in self.sockets.values():
            connection.close()
        self.poll.close()


def metric(port, name):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return int(re.search(rf"^{name} (\d+)$", text, re.MULTILINE)[1])


def wait_for_watchers(port, count, seconds=10):
    """Waits until the registry reports this number of watchers. Returns how long that took."""
    begin = time.monotonic()
    while (now := metric(port, "paulina_watchers")) != count:
        assert time.monotonic() < begin + seconds, f"{now} watchers instead of {count} after {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - begin
