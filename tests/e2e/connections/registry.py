"""The registry of these tests, raw sockets, and well-behaved clients."""

import asyncio
import atexit
import contextlib
import itertools
import os
import re
import socket
import struct
import time

import harness
from connections.ambiguous_requests import registration, request

FOLDER = harness.WORK / "connections"


CLIENTS, WINDOW = 8, 1.5
PAGE = "/v1/servers?name=big&view=full"


def receive(connection):
    """Returns the received bytes: empty when the registry has closed the connection, None when nothing came in time."""
    try:
        return connection.recv(1 << 16)
    except (BlockingIOError, TimeoutError):
        return None
    except ConnectionError:
        return b""


def drain(connection):
    """Returns everything that is received, and whether the registry has closed the connection."""
    received = b""
    while part := receive(connection):
        received += part
    return received, part is not None


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Registry(harness.Registry):
    """A registry with small servers, and a few servers of megabytes, in the folder of this test."""

    def __init__(self, name, *arguments):
        super().__init__(FOLDER / f"{name}.db", *arguments)
        self.start()
        atexit.register(self.process.kill)
        for number in range(20):
            self.curl("/v1/servers", body=registration(f"small-{number}", capabilities={"tools": ["small"]}))
        tools = [{"name": f"tool-{number}", "description": "x" * 300} for number in range(2000)]
        for number in range(10):
            self.curl("/v1/servers", body=registration(f"big-{number}", name="big", capabilities={"tools": tools}))

    def connect(self, timeout=5):
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def exchange(self, sent, *, half_close=False):
        """Sends bytes on a new connection. Returns the statuses, and whether the connection is closed within 2 s."""
        with self.connect(2) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(sent)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
            received, closed = drain(connection)
        return re.findall(rb"HTTP/1\.[01] ([2-5]\d\d)", received), closed


async def client(port, latencies, firsts):
    begin = time.perf_counter()
    end = begin + WINDOW
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for method, path in itertools.cycle([("PUT", "/small-1/refresh"), ("GET", "?tool=small"), ("GET", "/small-2")]):
        writer.write(request(method, f"/v1/servers{path}"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), f"a healthy client got {head}"
        await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))
        now = time.perf_counter()
        (latencies if begin > end - WINDOW else firsts).append((now - begin) * 1000)
        if now > end:
            return writer.close()
        begin = now


def healthy(port):
    """Measures well-behaved clients on new keep-alive connections: p50, p99 and the slowest first response, in ms."""
    latencies, firsts = [], []

    async def clients():
        async with asyncio.timeout(WINDOW + 20):
            await asyncio.gather(*(client(port, latencies, firsts) for _ in range(CLIENTS)))

    asyncio.run(clients())
    latencies.sort()
    return latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100], max(firsts)
