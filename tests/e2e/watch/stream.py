"""A client of GET /v1/watch that keeps each event unchanged."""

import asyncio
import socket
from typing import NamedTuple
from urllib.parse import urlencode

# A stream that does not end cleanly raises one of these.
BROKEN = (OSError, EOFError, TimeoutError)


class Item(NamedTuple):
    """One event of a stream."""

    id: str
    event: str
    data: bytes


def parsed(block):
    """Parses the text between two blank lines. Returns None for a comment."""
    if block.startswith(b":"):
        assert b"\n" not in block, f"more than a comment: {block[:100]}"
        return None
    lines = block.split(b"\n")
    names, values = zip(*(line.partition(b": ")[::2] for line in lines))
    assert names == (b"id", b"event", b"data") and b"\r" not in block, f"not id, event and data: {block[:200]}"
    return Item(values[0].decode(), values[1].decode(), values[2])


class Stream:
    """One response to GET /v1/watch, on its own connection."""

    def __init__(self, reader, writer, status, headers):
        self.reader, self.writer, self.status, self.headers = reader, writer, status, headers
        self.rest, self.ended, self.comments, self.pending = b"", False, 0, self.items()

    @classmethod
    async def open(cls, port, filters=(), *, since=None, by_query=False, token=None, small=False):
        """Connects and sends the request. With `small` buffers, the registry notices soon that the client does not
        read."""
        pairs, headers = list(filters), "host: 127.0.0.1\r\n"
        if since and by_query:
            pairs.append(("since", since))
        elif since:
            headers += f"last-event-id: {since}\r\n"
        if token:
            headers += f"authorization: Bearer {token}\r\n"
        connection = socket.socket()
        if small:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
        except BaseException:
            connection.close()
            raise
        reader, writer = await asyncio.open_connection(sock=connection, limit=1 << (13 if small else 20))
        try:
            writer.write(f"GET /v1/watch?{urlencode(pairs)} HTTP/1.1\r\n{headers}\r\n".encode())
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines if line)
            status = int(first.split()[1])
            assert status != 200 or headers["content-type"] == "text/event-stream", f"a stream of {headers}"
            return cls(reader, writer, status, headers)
        except BaseException:
            writer.transport.abort()
            raise

    async def items(self):
        """Yields the events until the registry ends the stream cleanly. Otherwise raises one of `BROKEN`."""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            chunk = await self.reader.readexactly(size + 2)
            *blocks, self.rest = (self.rest + chunk[:-2]).split(b"\n\n")
            for block in blocks:
                if item := parsed(block):
                    yield item
                else:
                    self.comments += 1
        assert not self.rest, f"the stream ends in the middle of an event: {self.rest[:100]}"
        self.ended = True

    async def item(self, seconds):
        """Returns the next event, or None when the stream ends first."""
        async with asyncio.timeout(seconds):
            return await anext(self.pending, None)

    async def body(self):
        """Returns the body of a response that is not a stream."""
        return await self.reader.readexactly(int(self.headers["content-length"]))

    def close(self):
        self.writer.transport.abort()


def number(revision):
    return int(revision.partition("-")[2])
