"""Connections with ambiguous or incomplete requests: no smuggled request is executed, and every connection is
closed."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from connections.ambiguous_requests import HOST, KIND, ambiguous, post, request
from connections.registry import PAGE, reset
from harness import wait_until


def smuggling(registry):
    refused, once = ambiguous()
    texts = [text.replace("-000", f"-{number:03}") for number, text in enumerate(refused + once)]
    with registry.connect() as connection:
        for number in range(len(texts) + 1):
            connection.sendall(post(f"victim-{number:03}"))
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 201"), f"victim {number} was not registered"
    control, _ = registry.exchange(post("own") + request("DELETE", f"/v1/servers/victim-{len(texts):03}"))
    assert control == [b"201", b"204"], f"a DELETE after a request is not executed, so this proves nothing: {control}"
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda text: registry.exchange(text.encode("latin-1")), texts))
    left, wrong = set(registry.ids("name=small&limit=1000")), []
    for number, (text, (answers, closed)) in enumerate(zip(texts, results)):
        exists, kept = f"victim-{number:03}" in left, f"own-{number:03}" in left
        correct = exists and len(answers) < 2 and all(answer < b"500" for answer in answers)
        if number < len(refused):
            correct = correct and not kept and (answers > [b"399"] or closed and not answers)
        if not correct:
            shown = text.replace(HOST, "", 1).replace(KIND, "")[:150]
            wrong.append(f"{shown!r}: {answers}{'' if exists else ', and the DELETE was executed'}")
    counts = dict(Counter((answers or [b"none"])[0].decode() for answers, _ in results))
    print(
        f"smuggling: {len(refused)} requests to refuse, {len(once)} with at most one response; first responses {counts}"
    )
    assert not wrong, f"smuggling, {len(wrong)} wrong:\n" + "\n".join(wrong)


def half_closed(registry):
    """A client that half-closes after a request still gets its response. After an incomplete request, it is
    disconnected."""
    for text in (post("half"), request("GET", "/v1/servers?limit=7"), request("PUT", "/v1/servers/half/refresh")):
        results = [registry.exchange(text, half_close=True) for _ in range(50)]
        wrong = [result for result in results if len(result[0]) != 1 or result[0] > [b"299"] or not result[1]]
        assert not wrong, f"{text[:40]}, half-closed: {len(wrong)} of 50 got no response before the end: {wrong[0]}"
    begin = time.monotonic()
    for text in (b"GET /healthz HT", request("GET", "/healthz")[:-2], post("half")[:-9]):
        assert registry.exchange(text, half_close=True)[1], f"{text}, half-closed: still open after 2 s"
    print(f"half-closed: 150 responses, 3 incomplete requests closed within {(time.monotonic() - begin) * 1000:.0f} ms")


def aborted(registry):
    before, gzip = registry.descriptors(), request("GET", PAGE, "Accept-Encoding: gzip\r\n")
    for text in (post("aborted")[:-30], post("aborted"), request("GET", PAGE), gzip):
        for _ in range(100):
            connection = registry.connect()
            connection.sendall(text)
            if text.startswith(b"GET"):
                connection.recv(1 << 10)
            reset(connection)
    wait_until(lambda: registry.descriptors() <= before, 10, "aborted: as few descriptors as before")
    registry.curl("/readyz")
    print(f"aborted: 400 resets in bodies and responses; {before} descriptors became {registry.descriptors()}")
