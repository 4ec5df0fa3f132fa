"""A TCP proxy in front of a registry, which delays or drops responses."""

import socket
import threading
import time


class TcpProxy:
    """A proxy in front of a registry. Forwards requests, delays responses by some seconds, and drops the responses
    to some requests together with their connections."""

    def __init__(self, registry, drops=lambda request: True, delay=lambda request: 0):
        self.listener, self.port, self.drops = socket.create_server(("127.0.0.1", 0)), registry.port, drops
        self.delay = delay
        self.url, self.requests = f"http://127.0.0.1:{self.listener.getsockname()[1]}", 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.forward, args=[connection], daemon=True).start()

    def forward(self, connection):
        with connection, socket.create_connection(("127.0.0.1", self.port)) as registry:
            request = read_message(connection)
            if not request:
                return
            self.requests += 1
            registry.sendall(request)
            answer = read_message(registry)
            time.sleep(self.delay(request))
            if not self.drops(request):
                # One request per connection, because the next response may be dropped.
                connection.sendall(answer.replace(b"\r\n", b"\r\nconnection: close\r\n", 1))


def read_message(connection):
    """Reads a request or response with its body. Returns nothing if the connection is closed first."""
    message = b""
    while b"\r\n\r\n" not in message:
        part = connection.recv(65536)
        if not part:
            return b""
        message += part
    head, _, body = message.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower()[:15] == b"content-length:"), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body
