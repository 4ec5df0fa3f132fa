"""HTTP/1.1 for hundreds of clients in one process: asyncio, keep-alive, bodies by length and in chunks."""

import asyncio
import json
from typing import NamedTuple


class Unanswered(Exception):
    """No complete response came: the request may or may not have been executed."""


class Refused(Unanswered):
    """No connection could be made: the request was not executed."""


class Answer(NamedTuple):
    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The code of a problem document, or None for other responses."""
        problem = self.headers.get("content-type") == "application/problem+json"
        return self.json()["code"] if problem else None


class Client:
    """One connection, opened when it is needed and kept alive."""

    def __init__(self, port, timeout=40):
        self.port, self.timeout = port, timeout
        self.reader = self.writer = None

    async def get(self, path):
        return await self.request("GET", path)

    async def put(self, path):
        return await self.request("PUT", path)

    async def post(self, path, body):
        return await self.request("POST", path, body)

    async def delete(self, path):
        return await self.request("DELETE", path)

    async def request(self, method, path, body=None):
        """Returns the response, or raises `Unanswered` when none has come within the timeout."""
        try:
            async with asyncio.timeout(self.timeout):
                await self.connect()
                return await self.exchange(method, path, body)
        except Refused:
            raise
        except (TimeoutError, OSError, EOFError, ValueError, IndexError) as error:
            self.close()
            raise Unanswered(f"{method} {path}: {error!r}") from error
        except BaseException:
            self.close()
            raise

    async def connect(self):
        if self.writer is not None and not self.reader.at_eof():
            return
        self.close()
        try:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        except OSError as error:
            raise Refused(str(error)) from error

    def close(self):
        if self.writer is not None:
            self.writer.transport.abort()
        self.reader = self.writer = None

    async def exchange(self, method, path, body):
        head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        data = b""
        if body is not None:
            data = json.dumps(body).encode()
            head += f"content-type: application/json\r\ncontent-length: {len(data)}\r\n"
        self.writer.write(head.encode() + b"\r\n" + data)
        await self.writer.drain()
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        status = int(lines[0].split()[1])
        headers = {}
        for line in lines[1:-2]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        text = await self.body(status, headers)
        if headers.get("connection") == "close":
            self.close()
        return Answer(status, headers, text)

    async def body(self, status, headers):
        if status in (204, 304):
            return b""
        if headers.get("transfer-encoding") != "chunked":
            return await self.reader.readexactly(int(headers["content-length"]))
        chunks = []
        while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
            chunks.append(await self.reader.readexactly(size))
            await self.reader.readexactly(2)
        await self.reader.readuntil(b"\r\n")
        return b"".join(chunks)


async def listed(client, query):
    """Returns all servers that a query finds, page by page, and the revision of the last page."""
    servers, cursor = [], ""
    while True:
        answer = await client.get(f"/v1/servers?{query}{cursor}")
        assert answer.status == 200, f"listing {query}: status {answer.status}: {answer.body[:300]}"
        page = answer.json()
        servers += page["servers"]
        if page["next_cursor"] is None:
            return servers, page["revision"]
        cursor = f"&cursor={page['next_cursor']}"
