"""Registries for these tests, and the raw HTTP of their MCP endpoint."""

import http.client
import json

import harness
from harness import WORK, wait_until
from registry_mcp.servers import ALL, LEGACY, MODERN, SERVERS

FOLDER = WORK / "registry_mcp"


def start_registry(name, *arguments):
    return harness.start_registry(FOLDER / name, *arguments)


def fill(registry):
    for each in SERVERS:
        registry.curl("/v1/servers", body=each)
    # The expiry of a lease is a change, too: here the last one.
    wait_until(
        lambda: registry.curl("/v1/stats")["revision"].endswith(f"-{len(SERVERS) + 1}"),
        5,
        "a lease of one second expires",
    )
    assert registry.ids("healthy=false") == ["gone"]


class RawClient:
    """A client of /mcp that can send any HTTP request."""

    def __init__(self, registry, token=None):
        self.port, self.session = registry.port, None
        self.headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        if token:
            self.headers["authorization"] = f"Bearer {token}"

    def send(self, method, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = {**self.headers, **headers, **({"mcp-session-id": self.session} if self.session else {})}
        connection.request(method, "/mcp", json.dumps(body) if body else None, headers)
        return connection.getresponse()

    def initialize(self):
        params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
        answer = self.send("POST", {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
        assert answer.status == 200, f"initialize: {answer.status}"
        self.session = answer.headers["mcp-session-id"]
        answer.read()
        self.send("POST", {"jsonrpc": "2.0", "method": "notifications/initialized"}).read()
        return self

    def stream(self):
        answer = self.send("GET", accept="text/event-stream")
        assert answer.status == 200, f"the stream of a session: {answer.status}"
        return answer

    def listen(self):
        meta = {"protocolVersion": MODERN, "clientInfo": {"name": "raw", "version": "1"}, "clientCapabilities": {}}
        params = {
            "notifications": {"resourcesListChanged": True, "resourceSubscriptions": [f"{ALL}/new"]},
            "_meta": {f"io.modelcontextprotocol/{key}": value for key, value in meta.items()},
        }
        body = {"jsonrpc": "2.0", "id": 7, "method": "subscriptions/listen", "params": params}
        answer = self.send("POST", body, **{"mcp-protocol-version": MODERN, "mcp-method": "subscriptions/listen"})
        assert answer.status == 200, f"subscriptions/listen: {answer.status}"
        return answer


def problem(answer):
    return answer.status, json.loads(answer.read()).get("code")
