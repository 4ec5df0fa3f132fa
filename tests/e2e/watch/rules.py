"""The rules of GET /v1/watch: how many watchers are admitted, which queries are invalid, and when a stream ends."""

import asyncio
import contextlib
import json
import signal
import sqlite3
import time

from faults.http_client import Client
from harness import BINARY
from watch.load_clients import server, start_process, wait_for_watchers
from watch.stream import Stream

NO_MATCH = [("tag", "no-server-has-this")]


async def problem(stream, status, code):
    assert stream.status == status, f"status {stream.status} instead of {status}"
    body = json.loads(await stream.body())
    assert stream.headers["content-type"] == "application/problem+json", f"not a problem: {stream.headers}"
    assert body["code"] == code, f"code {code} expected: {body}"
    stream.close()


async def maximum_number():
    process = start_process("maximum", "--max-watchers", "5")
    port, full = process.port, []
    for _ in range(5):
        full.append(await Stream.open(port))
        assert (await full[-1].item(5)).event == "snapshot"
    sixth = await Stream.open(port)
    assert int(sixth.headers.get("retry-after", 0)) > 0, f"no Retry-After in {sixth.headers}"
    await problem(sixth, 503, "overloaded")
    await asyncio.to_thread(wait_for_watchers, port, 5, 0.5)
    client = Client(port)
    assert (await client.get("/v1/servers")).status == 200, "watchers count as other requests"
    full.pop().close()
    left = await asyncio.to_thread(wait_for_watchers, port, 4, 2)
    full.append(await Stream.open(port))
    assert (await full[-1].item(5)).event == "snapshot"
    for stream in full:
        stream.close()
    await asyncio.to_thread(wait_for_watchers, port, 0, 2)
    client.close()
    await asyncio.to_thread(process.stop)
    return (
        f"with a maximum of five, the sixth gets 503, and a place is free {left * 1000:.0f} ms after one has "
        "disconnected"
    )


async def until_ended(stream, seconds):
    """Returns how long a stream continues. The command line writes tokens to the file directly, so the stream may
    have sent another snapshot first."""
    begin = time.monotonic()
    while item := await stream.item(seconds):
        assert b'"servers":[]' in item.data, f"{item} was sent to a revoked token"
    stream.close()
    return time.monotonic() - begin


async def token(process, verb, name, *role):
    command = [BINARY, "token", verb, "--database", process.database, "--name", name, *role]
    running = await asyncio.create_subprocess_exec(*command, stdout=-1, stderr=-1)
    out, error = await running.communicate()
    assert running.returncode == 0, error
    return out.decode().split()[-1] if verb == "create" else None


async def unauthorized(port, token, seconds=3):
    """Waits until a token, or a request without one, is refused."""
    end = time.monotonic() + seconds
    while (stream := await Stream.open(port, token=token)).status == 200:
        stream.close()
        assert time.monotonic() < end, f"still accepted after {seconds} s"
        await asyncio.sleep(0.05)
    await problem(stream, 401, "unauthorized")


async def open_stream(port, filters, token):
    stream = await Stream.open(port, filters, token=token)
    assert stream.status == 200 and (await stream.item(5)).event == "snapshot"
    return stream


async def revoked_tokens():
    process = start_process("revoked-tokens")
    port = process.port
    anonymous = await open_stream(port, NO_MATCH, None)
    quiet, eager = [await token(process, "create", name, "--role", "read") for name in ("quiet", "eager")]
    writer = await token(process, "create", "writer", "--role", "register")
    await unauthorized(port, None)
    await unauthorized(port, "paulina_nonsense")
    streams = [anonymous, await open_stream(port, NO_MATCH, quiet)]
    active, kept = await open_stream(port, [], eager), await open_stream(port, [("owner", "writer")], writer)
    for name in ("quiet", "eager"):
        await token(process, "revoke", name)
    await asyncio.gather(unauthorized(port, quiet), unauthorized(port, eager))
    data = json.dumps(server("own")).encode()
    reader, sender = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /v1/servers HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {writer}\r\n"
    sender.write(f"{head}content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data)
    assert b" 201 " in await reader.readline()
    sender.close()
    while (item := await kept.item(5)).event == "snapshot":
        pass  # Tokens are written to the file directly.
    assert item.event == "registered" and json.loads(item.data)["server"]["owner"] == "writer", item
    at_event = await until_ended(active, 2)
    times = await asyncio.gather(*(until_ended(stream, 16) for stream in streams))
    with contextlib.suppress(TimeoutError):
        item = await kept.item(16)
        raise AssertionError(f"{item} was sent without a change")
    assert kept.comments > 0, "no comment within 16 s"
    kept.close()
    await asyncio.to_thread(process.stop)
    return (
        f"a stream whose token was revoked ends {at_event * 1000:.0f} ms after its next event, silent streams after "
        f"{min(times):.1f} to {max(times):.1f} s"
    )


async def shutdown():
    process = start_process("shutdown")
    streams = [await open_stream(process.port, [], None) for _ in range(100)]
    begin = time.monotonic()
    process.process.send_signal(signal.SIGTERM)
    assert await asyncio.gather(*(stream.item(5) for stream in streams)) == [None] * 100
    streams_end = time.monotonic() - begin
    assert all(stream.ended for stream in streams), "streams were cut off instead of ended"
    for stream in streams:
        stream.close()
    assert await asyncio.to_thread(process.process.wait, 20) == 0
    took = time.monotonic() - begin
    assert took <= 2, f"with 100 watchers the registry took {took:.1f} s to stop"
    return f"SIGTERM ends 100 streams in {streams_end * 1000:.0f} ms, and the process in {took * 1000:.0f}"


async def direct_edits():
    """Another process writes to the file while the registry serves it."""
    process = start_process("direct-edits")
    client = Client(process.port)
    for place in range(3):
        await client.post("/v1/servers", {**server(f"small-{place}"), "tags": ["few"] if place == 1 else []})
    streams = [await open_stream(process.port, filters, None) for filters in ([], [("tag", "few")])]
    connection = sqlite3.connect(process.database, isolation_level=None, timeout=5)
    times = []
    for sql, right in [
        ("UPDATE servers SET title = 'edited' WHERE id = 'small-1'", [{"small-0", "small-1", "small-2"}, {"small-1"}]),
        ("DELETE FROM servers WHERE id = 'small-0'", [{"small-1", "small-2"}, {"small-1"}]),
        ("UPDATE tags SET tag = 'many' WHERE tag = 'few'", [{"small-1", "small-2"}, set()]),
    ]:
        connection.execute("PRAGMA foreign_keys = ON")
        begin = time.monotonic()
        connection.execute(sql)
        for stream, ids in zip(streams, right):
            item = await stream.item(5)
            times.append(time.monotonic() - begin)
            found = {shown["id"]: shown for shown in json.loads(item.data)["servers"]}
            assert item.event == "snapshot" and found.keys() == ids, f"after {sql}: {item.event} of {found.keys()}"
            assert "small-1" not in found or found["small-1"]["title"] == "edited", f"after {sql}: {found['small-1']}"
    connection.close()
    await client.post("/v1/servers", server("after"))
    assert (await streams[0].item(5)).event == "registered", "no event follows the snapshots"
    for stream in streams:
        stream.close()
    client.close()
    await asyncio.to_thread(process.stop)
    assert max(times) <= 2, f"an edit was visible after {max(times):.1f} s"
    return f"a direct edit is visible within {max(times):.1f} s"


async def invalid_requests():
    process = start_process("invalid-requests")
    client, port = Client(process.port), process.port
    revision = (await client.get("/v1/servers")).json()["revision"]
    for query in (
        "q=files",
        "limit=5",
        "cursor=abc",
        "view=full",
        "healthy=false",
        "healthy=perhaps",
        "since=nonsense",
        "since=0-1",
        f"since={revision}&since={revision}",
        "x=1",
        "tool=",
        "metadata=team",
    ):
        stream = await Stream.open(port, [tuple(pair.split("=")) for pair in query.split("&")])
        assert stream.status == 400, f"?{query}: status {stream.status}"
        await problem(stream, 400, "invalid_query")
    await client.post("/v1/servers", server("one"))
    now = (await client.get("/v1/servers")).json()["revision"]
    for since, event in [
        (revision, "registered"),
        ("00000000-0", "snapshot"),
        (f"{now}9", "snapshot"),
        ("what", "snapshot"),
    ]:
        stream = await Stream.open(port, since=since)
        item = await stream.item(5)
        assert (item.event, item.id) == (event, now), f"after {since}: {item}"
        stream.close()
    allowed = []
    for method in ("POST", "PUT", "DELETE", "HEAD"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{method} /v1/watch HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        writer.close()
        allowed.append((method, head.split()[1], "\r\nallow: get" in head))
    expected = [(method, "405", True) for method in ("POST", "PUT", "DELETE")] + [("HEAD", "200", False)]
    assert allowed == expected, f"method, status and Allow: {allowed}"
    client.close()
    await asyncio.to_thread(process.stop)
    return "invalid queries and methods are refused"


async def rules():
    results = await asyncio.gather(maximum_number(), revoked_tokens(), shutdown(), direct_edits(), invalid_requests())
    print(f"rules: {'; '.join(results)}", flush=True)
