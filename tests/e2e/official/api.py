"""The API under test: each response is validated against its schema."""

import gzip
import http.client
import json
import time
from urllib.parse import quote

import harness
from harness import WORK
from official.rules import LIVE

FOLDER = WORK / "official"


class Response:
    """A response, and the JSON in it."""

    def __init__(self, answer):
        self.status, self.headers, text = answer.status, answer.headers, answer.read()
        self.size = len(text)
        if self.headers["content-encoding"] == "gzip":
            text = gzip.decompress(text)
        self.json = json.loads(text) if text else None

    def entries(self):
        return self.json["servers"]

    def names(self):
        return [f"{entry['server']['name']}@{entry['server']['version']}" for entry in self.entries()]

    def cursor(self):
        return self.json["metadata"].get("nextCursor")


def shortened(value):
    """Shortens long values, and omits members that are always the same."""
    if isinstance(value, dict):
        return {key: shortened(each) for key, each in value.items() if key not in ("$schema", LIVE)}
    if isinstance(value, list):
        return [shortened(each) for each in value[:1]] + ([f"… {len(value)} in all"] if len(value) > 1 else [])
    return f"{value[:40]} …" if isinstance(value, str) and len(value) > 60 else value


class Api:
    """The registry over HTTP. Validates each response against its schema. Paths are sent as given."""

    def __init__(self, registry, rules):
        self.registry, self.rules, self.validated, self.times = registry, rules, 0, []

    def send(self, method, path, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.registry.port, timeout=30)
        started_at = time.monotonic()
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = Response(connection.getresponse())
        self.times.append(time.monotonic() - started_at)
        return response

    def get(self, path, status=200, **headers):
        response = self.send("GET", path, **headers)
        assert response.status == status, f"GET {path}: {response.status} instead of {status}: {response.json}"
        kind = "Refusal" if status >= 400 else "ServerList" if "servers" in response.json else "ServerResponse"
        wrong = [
            f"/{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
            for error in self.rules[kind].iter_errors(response.json)
        ]
        assert not wrong, f"GET {path}: not a valid {kind}: {wrong}"
        self.validated += 1
        return response

    def show(self, path, method="GET", status=200, **headers):
        """Makes a request, and prints it with the shortened response."""
        response = self.get(path, status, **headers) if method == "GET" else self.send(method, path, **headers)
        given = "; ".join(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())
        text = (
            json.dumps(shortened(response.json), ensure_ascii=False)
            if response.json
            else "; ".join(
                f"{name}: {value}" for name, value in response.headers.items() if name.startswith("access-control")
            )
        )
        print(f"  {method} {path}\n    {given}\n    -> {response.status}, {response.size:,} bytes: {text}")
        return response

    def walk(self, path, limit=100):
        """Returns all entries, page by page, and the size of each page."""
        entries, sizes, page = [], [], self.get(f"{path}{'&' if '?' in path else '?'}limit={limit}")
        while True:
            entries += page.entries()
            sizes.append(page.size)
            assert page.json["metadata"]["count"] == len(page.entries()) <= limit, f"{path}: {page.json['metadata']}"
            if not page.cursor():
                return entries, sizes
            page = self.get(f"{path.partition('?')[0]}?cursor={page.cursor()}")


def start_registry(name, *arguments):
    return harness.start_registry(FOLDER / name, *arguments)


def path_name(name):
    """Encodes a name for a path, as a client does."""
    return quote(name, safe="")
