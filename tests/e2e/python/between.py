"""A proxy in front of a registry: slow, or losing responses."""

import socket
import threading
import time


class Between:
    """A proxy in front of a registry: passes requests on, holds responses back for some seconds, and loses the responses to
    some requests with their connections."""

    def __init__(self, registry, loses=lambda request: True, holds=lambda request: 0):
        self.listener, self.behind, self.loses = socket.create_server(("127.0.0.1", 0)), registry.port, loses
        self.holds = holds
        self.url, self.requests = f"http://127.0.0.1:{self.listener.getsockname()[1]}", 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.pass_on, args=[connection], daemon=True).start()

    def pass_on(self, connection):
        with connection, socket.create_connection(("127.0.0.1", self.behind)) as registry:
            request = whole(connection)
            if not request:
                return
            self.requests += 1
            registry.sendall(request)
            answer = whole(registry)
            time.sleep(self.holds(request))
            if not self.loses(request):
                # One request a connection: the next one may be lost.
                connection.sendall(answer.replace(b"\r\n", b"\r\nconnection: close\r\n", 1))


def whole(connection):
    """A request or an answer with its body; nothing from a connection that is closed without one."""
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
