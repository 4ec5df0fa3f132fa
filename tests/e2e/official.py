"""The API of the official MCP registry, as its clients ask it: every answer against the released schema of server.json, with
a handful of registrations and with a thousand, and the calls of VS Code, GitHub Copilot and Docker.

The schema is the file that the official registry released on 2025-12-11, byte for byte; the package skillsaw carries it.
What stands around a server.json there, ServerResponse and ServerList, no package carries: ENVELOPE says it again.
"""

import atexit
import gzip
import hashlib
import http.client
import importlib.resources
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import median
from urllib.parse import quote, quote_plus

import jsonschema

import paulina
from paulina import WORK, Registry, wait_until

BINARY = paulina.BINARY = Path(os.environ.get("PAULINA_BINARY", paulina.BINARY)).resolve()
FOLDER = WORK / "official"
RELEASED = "3fba09590c99f61735d234822279f4223fab9e300c0a81e81c91ab62a4114de0"
OFFICIAL, LIVE = "io.modelcontextprotocol.registry/official", "paulina.registry/live"
SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
MANY = 1000

# modelcontextprotocol/registry, docs/reference/api/openapi.yaml, version 2025-12-01. There `metadata` and what is in it may be
# left out; clients read them all the same.
TIME = {"type": "string", "format": "date-time"}
ENVELOPE = {
    "ServerList": {
        "type": "object", "required": ["servers", "metadata"],
        "properties": {
            "servers": {"type": "array", "items": {"$ref": "#/definitions/ServerResponse"}},
            "metadata": {"type": "object", "required": ["count"],
                         "properties": {"nextCursor": {"type": "string", "minLength": 1}, "count": {"type": "integer"}}},
        },
    },
    "ServerResponse": {
        "type": "object", "required": ["server", "_meta"],
        "properties": {
            "server": {"$ref": "#/definitions/ServerDetail"},
            "_meta": {"type": "object", "required": [OFFICIAL], "properties": {OFFICIAL: {
                "type": "object", "additionalProperties": False,
                "required": ["status", "publishedAt", "updatedAt", "isLatest"],
                "properties": {"status": {"enum": ["active", "deprecated", "deleted"]}, "statusMessage": {"maxLength": 500},
                               "statusChangedAt": TIME, "publishedAt": TIME, "updatedAt": TIME, "isLatest": {"type": "boolean"}},
            }}},
        },
    },
    "Refusal": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string", "minLength": 1}}},
}


# Whoever ends a test ends what it has started, too: `atexit` does not run after SIGTERM by itself.
signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def rules():
    """A validator for each kind of answer."""
    released = importlib.resources.files("skillsaw") / "schemas/mcp_registry/v2025_12_11/server.schema.json"
    text = released.read_bytes()
    found = hashlib.sha256(text).hexdigest()
    assert found == RELEASED, f"this is not the released schema: its SHA-256 is {found}"
    schema = json.loads(text)
    assert schema["$id"] == SCHEMA, schema["$id"]
    checker = jsonschema.Draft7Validator.FORMAT_CHECKER
    assert "date-time" in checker.checkers, "nothing checks times"
    definitions = {**schema["definitions"], **ENVELOPE}

    def of(kind):
        whole = {"$schema": schema["$schema"], "definitions": definitions, "$ref": f"#/definitions/{kind}"}
        jsonschema.Draft7Validator.check_schema(whole)
        return jsonschema.Draft7Validator(whole, format_checker=checker)

    print(f"the schema of server.json: the released file of 2025-12-11, {len(text):,} bytes, SHA-256 as known\n"
          "ServerList and ServerResponse: said again here, after the official OpenAPI document, which no package carries\n")
    return {kind: of(kind) for kind in ENVELOPE}


class Asked:
    """An answer, and the JSON in it."""

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
    """The beginning of what is long, without what is always the same."""
    if isinstance(value, dict):
        return {key: shortened(each) for key, each in value.items() if key not in ("$schema", LIVE)}
    if isinstance(value, list):
        return [shortened(each) for each in value[:1]] + ([f"… {len(value)} in all"] if len(value) > 1 else [])
    return f"{value[:40]} …" if isinstance(value, str) and len(value) > 60 else value


class Api:
    """The registry over HTTP. Each answer is held against its schema; paths are sent as they are."""

    def __init__(self, registry, rules):
        self.registry, self.rules, self.validated, self.times = registry, rules, 0, []

    def send(self, method, path, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.registry.port, timeout=30)
        begun = time.monotonic()
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        asked = Asked(connection.getresponse())
        self.times.append(time.monotonic() - begun)
        return asked

    def get(self, path, status=200, **headers):
        asked = self.send("GET", path, **headers)
        assert asked.status == status, f"GET {path}: {asked.status} instead of {status}: {asked.json}"
        kind = "Refusal" if status >= 400 else "ServerList" if "servers" in asked.json else "ServerResponse"
        wrong = [f"/{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
                 for error in self.rules[kind].iter_errors(asked.json)]
        assert not wrong, f"GET {path} is no {kind}: {wrong}"
        self.validated += 1
        return asked

    def shown(self, path, method="GET", status=200, **headers):
        """Asks, and prints the call with the answer, shortened."""
        asked = self.get(path, status, **headers) if method == "GET" else self.send(method, path, **headers)
        given = "; ".join(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())
        text = json.dumps(shortened(asked.json), ensure_ascii=False) if asked.json else "; ".join(
            f"{name}: {value}" for name, value in asked.headers.items() if name.startswith("access-control"))
        print(f"  {method} {path}\n    {given}\n    -> {asked.status}, {asked.size:,} bytes: {text}")
        return asked

    def walk(self, path, limit=100):
        """All entries, page by page, with the size of the pages."""
        entries, sizes, page = [], [], self.get(f"{path}{'&' if '?' in path else '?'}limit={limit}")
        while True:
            entries += page.entries()
            sizes.append(page.size)
            assert page.json["metadata"]["count"] == len(page.entries()) <= limit, f"{path}: {page.json['metadata']}"
            if not page.cursor():
                return entries, sizes
            page = self.get(f"{path.partition('?')[0]}?cursor={page.cursor()}")


def started(name, *arguments):
    folder = FOLDER / name
    folder.mkdir(parents=True)
    registry = Registry(folder / "paulina.db", *arguments)
    registry.start()
    atexit.register(registry.process.kill)
    return registry


def local(id, name, registry=None, identifier=None, package=None, **more):
    known = {"package.registry": registry, "package.identifier": identifier, "package.version": package}
    metadata = {**{key: value for key, value in known.items() if value is not None}, **more.pop("metadata", {})}
    way = {"transport": "stdio", "command": ["/usr/bin/env", id]}
    return {"id": id, "name": name, **way, "metadata": metadata, "ttl": 3600, **more}


def remote(id, name, url=None, transport="streamable-http", **more):
    return {"id": id, "name": name, "transport": transport, "url": url or f"https://{id}.example/mcp", "ttl": 3600, **more}


TOKEN = {"name": "Authorization", "description": "Bearer and a token", "required": True, "secret": True}
HANDFUL = [
    local("files-1", "@modelcontextprotocol/server-filesystem", "npm", "@modelcontextprotocol/server-filesystem", "2026.8.31",
          title="Files", version="0.2.0", description="Reads and writes files", tags=["local"],
          environment=[{"name": "ROOT_FOLDER", "description": "what it may see", "required": True, "secret": False}]),
    local("git-1", "git", "pypi", "mcp-server-git", "2026.10.19", version="1.2.0",
          metadata={"registry.name": "com.example/git", "team": "tools"}),
    local("search-1", "com.example/search", "oci", "ghcr.io/example/search:1.4.2", version="1.4.2",
          environment=[{"name": "API_KEY", "required": True, "secret": True}]),
    local("own-1", "own tool", version="2025-11-25"),
    remote("weather-1", "io.github.example/weather", version="1.9.0", description="Weather of " + "many towns " * 40),
    remote("weather-2", "io.github.example/weather", version="1.10.0", headers=[TOKEN], title="Wetter für alle " * 10),
    remote("weather-3", "io.github.example/weather", version="1.10.0", headers=[TOKEN]),
    remote("notes-1", "notes", transport="sse"),
]
LATEST = ["com.example/git@1.2.0", "com.example/search@1.4.2", "io.github.example/weather@1.10.0", "local/notes@0.0.0",
          "local/own-tool-{}@2025-11-25", "modelcontextprotocol/server-filesystem@0.2.0"]
# What a registration may say, and a server.json may not, or not so.
ODD = [
    local("odd-latest", "com.example/odd-latest", "npm", "odd", "latest", version="1.0.0"),
    local("odd-empty", "com.example/odd-empty", "npm", "odd", "", version="1.0.0"),
    local("odd-silent", "com.example/odd-silent", "npm", "odd", version="1.0.0"),
    local("odd-bundle", "com.example/odd-bundle", "mcpb", "https://odd.example/odd.mcpb", version="1.0.0"),
    local("odd-registry", "com.example/odd-registry", "apt", "odd", "1.0", version="1.0.0"),
    local("odd-version", "com.example/odd-version", version="latest"),
    local("odd-characters", "com.example/odd-characters", version="1.0/2 beta?x#y%2F+z"),
    remote("odd-scheme", "com.example/odd-scheme", "HTTPS://Odd.Example/mcp", version="1.0.0"),
    remote("odd-blank", "com.example/odd-blank", title=" \t ", description=" \n ", version=" "),
    remote("odd-long", "x" * 200, version="9" * 100, title="t" * 200, description="ü" * 5000),
    remote("odd-slashes", "a/b/c/d", version="1.0.0"),
    remote("odd-dots", "..", version="1.0.0"),
    remote("odd-name", "com.example/odd-name", metadata={"registry.name": "no slash"}),
    remote("odd-versions", "com.example/versions", version="versions"),
]


def named(name):
    """As a client writes a name in a path."""
    return quote(name, safe="")


def handful(api):
    for each in HANDFUL:
        api.registry.curl("/v1/servers", body=each)
    for version in ["/v0.1", "/v0"]:
        page = api.get(f"{version}/servers")
        assert len(page.entries()) == 7 and page.json["metadata"] == {"count": 7}, f"{version}: {page.names()}"
        latest = api.get(f"{version}/servers?version=latest").names()
        assert [re.sub("tool-[0-9a-f]{8}", "tool-{}", name) for name in latest] == LATEST, f"{version}: {latest}"
        for entry in page.entries():
            server, path = entry["server"], f"{version}/servers/{named(entry['server']['name'])}"
            assert server["$schema"] == SCHEMA, f"{path}: {server['$schema']}"
            one = api.get(f"{path}/versions/{quote(server['version'], safe='')}")
            assert one.json == entry, f"{path}: not what the list shows"
            newest = api.get(f"{path}/versions/latest").json
            assert newest["_meta"][OFFICIAL]["isLatest"], f"{path}/versions/latest is not the latest"
            versions = api.get(f"{path}/versions").json["servers"]
            assert entry in versions and sum(each["_meta"][OFFICIAL]["isLatest"] for each in versions) == 1, f"{path}/versions"
            again = api.send("GET", path, if_none_match=api.get(path).headers["etag"])
            assert again.status == 304, f"{path} with its ETag: {again.status}"
    entries = {entry["server"]["name"]: entry for entry in api.get("/v0.1/servers?version=latest").entries()}
    weather = entries["io.github.example/weather"]
    assert [each["url"] for each in weather["server"]["remotes"]] == [f"https://weather-{n}.example/mcp" for n in "23"], weather
    assert weather["server"]["remotes"][0]["headers"] == [
        {"name": "Authorization", "description": "Bearer and a token", "isRequired": True, "isSecret": True}], weather
    assert [live["id"] for live in weather["_meta"][LIVE]["servers"]] == ["weather-2", "weather-3"], weather
    files = entries["modelcontextprotocol/server-filesystem"]["server"]
    assert files["packages"] == [{
        "registryType": "npm", "identifier": "@modelcontextprotocol/server-filesystem", "version": "2026.8.31",
        "transport": {"type": "stdio"},
        "environmentVariables": [
            {"name": "ROOT_FOLDER", "description": "what it may see", "isRequired": True, "isSecret": False}],
    }], files
    assert "packages" not in entries[next(name for name in entries if "own-tool" in name)]["server"], "a package of nobody"
    assert entries["local/notes"]["server"]["remotes"] == [{"type": "sse", "url": "https://notes-1.example/mcp"}]
    assert "error" in api.get(f"/v0.1/servers/{named('com.example/nobody')}/versions/latest", 404).json
    assert "error" in api.get(f"/v0.1/servers/{named('com.example/git')}/versions/9.9.9", 404).json
    for wrong in ["cursor=x", "limit=many", "updated_since=yesterday", "include_deleted=perhaps"]:
        api.get(f"/v0.1/servers?{wrong}", 400)
    print(f"a handful: {len(HANDFUL)} servers, 7 names and versions, in /v0.1 and /v0, {api.validated} answers valid")


def packages_run(api):
    """What clients run of a package, and what they ask a person for.

    microsoft/vscode, src/vs/platform/mcp/common/mcpManagementService.ts: npx IDENTIFIER@VERSION, uvx IDENTIFIER==VERSION, docker
    run -i --rm IDENTIFIER:VERSION, each without its end where there is no version. A variable or header is asked for if it has a
    description, else it is set to nothing.

    docker/mcp-gateway, pkg/catalog/registry_to_catalog.go: the image IDENTIFIER@VERSION, or IDENTIFIER.

    modelcontextprotocol/registry, pkg/model/types.go: an image has its version in the identifier."""
    wrong = []
    for name, expected in [
        ("com.example/search", "ghcr.io/example/search:1.4.2"), ("com.example/git", "mcp-server-git==2026.10.19"),
        ("modelcontextprotocol/server-filesystem", "@modelcontextprotocol/server-filesystem@2026.8.31"),
    ]:
        server = api.get(f"/v0.1/servers/{named(name)}/versions/latest").json["server"]
        [package] = server["packages"]
        between = {"oci": [":", "@"], "npm": ["@"], "pypi": ["=="]}[package["registryType"]]
        ran = {package["identifier"] + (sign + package["version"] if package.get("version") else "") for sign in between}
        wrong += [f"{name} would be run as {other}, not as {expected}" for other in sorted(ran - {expected})]
        wrong += [f"{name}: VS Code sets {each['name']} to nothing, since it has no description"
                  for each in package.get("environmentVariables", []) if not each.get("description")]
    assert not wrong, "\n  ".join(["packages that do not run:", *wrong])
    print("packages: VS Code and Docker run what was registered, and ask for what it needs")


def odd(api):
    """What a registration may say is in every case valid here, or left out."""
    registry, wrong = api.registry, []
    for each in ODD:
        registry.curl("/v1/servers", body=each)
        [found] = [entry for entry in api.send("GET", "/v0.1/servers?limit=100").entries()
                   if any(live["id"] == each["id"] for live in entry["_meta"][LIVE]["servers"])]
        server = found["server"]
        errors = [f"/{'/'.join(map(str, error.absolute_path))}: {error.message[:160]}"
                  for error in api.rules["ServerResponse"].iter_errors(found)]
        for package in server.get("packages", []):
            # That the server says of itself another version than its package has is usual: an SDK's server says its own.
            if package.get("version") not in (None, each["metadata"].get("package.version")):
                errors.append(f"a package version that nobody said: {package}")
            if package["registryType"] == "mcpb" and "fileSha256" not in package:
                errors.append(f"a bundle without its SHA-256: {package}")
        one = api.send("GET", f"/v0.1/servers/{named(server['name'])}/versions/{named(server['version'])}")
        if one.status != 200 or one.json != found:
            errors.append(f"its own address answers {one.status}")
        wrong += [f"{each['id']}: {error}" for error in errors]
    for each in ODD:
        registry.curl(f"/v1/servers/{each['id']}", method="DELETE")
    assert not wrong, "\n  ".join([f"{len(wrong)} of {len(ODD)} odd registrations:", *wrong])
    print(f"odd registrations: {len(ODD)}, all valid")


def deleted(rules):
    """What is gone, for who asks: as long as the registry itself knows of it."""
    registry = started("deleted", "--retention", "1h")
    api = Api(registry, rules)
    begun = datetime.now(timezone.utc) - timedelta(minutes=1)
    registry.curl("/v1/servers", body=remote("stays", "com.example/stays", version="1.0.0"))
    registry.curl("/v1/servers", body={**remote("goes", "com.example/goes", version="1.0.0"), "ttl": 1})
    wait_until(lambda: api.get("/v0.1/servers").names() == ["com.example/stays@1.0.0"], 5, "what is not alive is not listed")
    for question in ["include_deleted=true", f"updated_since={quote(begun.isoformat())}", f"updated_since={begun.isoformat()}"]:
        entries = api.get(f"/v0.1/servers?{question}").entries()
        status = {entry["server"]["name"]: entry["_meta"][OFFICIAL]["status"] for entry in entries}
        assert status == {"com.example/goes": "deleted", "com.example/stays": "active"}, f"{question}: {status}"
    path = f"/v0.1/servers/{named('com.example/goes')}/versions"
    api.get(path, 404)
    api.get(f"{path}/latest", 404)
    assert api.get(f"{path}/latest?include_deleted=true").json["_meta"][OFFICIAL]["status"] == "deleted"
    registry.stop()
    print(f"deleted ones: only for who asks for them, {api.validated} answers valid")


def thousand(rules):
    """1,000 servers of 450 names, in up to three versions, some of them twice."""
    registry = started("thousand", "--public-catalog")
    api, expected = Api(registry, rules), set()
    for number in range(MANY):
        name, version = f"com.example/server-{number % 450:03}", f"1.{number // 450}.0"
        if number >= 900:
            version = "1.1.0"  # a second one
        kind = [local, remote][number % 2]
        more = ("npm", f"@example/server-{number % 450}", version) if kind is local else ()
        tools = [{"name": f"tool_{tool}", "description": "Does something.", "inputSchema": {}} for tool in range(8)]
        registry.curl("/v1/servers", body=kind(
            f"many-{number}", name, *more, version=version, title=f"Server {number}", description="Does this and that. " * 6,
            capabilities={"tools": tools}, tags=["many"]))
        expected.add(f"{name}@{version}")
    for version in ["/v0.1", "/v0"]:
        api.times.clear()
        entries, sizes = api.walk(f"{version}/servers")
        found = [f"{entry['server']['name']}@{entry['server']['version']}" for entry in entries]
        assert len(found) == len(set(found)) and set(found) == expected, f"{version}: {len(found)} of {len(expected)}"
        assert sum(len(entry["_meta"][LIVE]["servers"]) for entry in entries) == MANY, f"{version}: not all servers"
        latest, _ = api.walk(f"{version}/servers?version=latest", 30)
        assert len(latest) == 450 and all(entry["_meta"][OFFICIAL]["isLatest"] for entry in latest), f"{version}: {len(latest)}"
        print(f"{version}: {MANY} servers, {len(found)} names and versions in {len(sizes)} pages of up to {max(sizes):,} bytes, "
              f"median {median(api.times) * 1000:.1f} ms, slowest {max(api.times) * 1000:.0f} ms")
    begun = time.monotonic()
    registry.curl("/v1/servers/many-0/refresh", method="PUT")
    api.get("/v0.1/servers?limit=1")
    refreshed, begun = time.monotonic() - begun, time.monotonic()
    registry.curl("/v1/servers", body=remote("one-more", "com.example/one-more", version="1.0.0"))
    assert "com.example/one-more@1.0.0" in api.get("/v0.1/servers?search=one-more").names(), "not listed at once"
    registered = time.monotonic() - begun
    print(f"a page right after a refresh {refreshed * 1000:.0f} ms, after a registration {registered * 1000:.0f} ms (with curl's "
          f"start); {api.validated} answers valid; resident {registry.resident_mib():.0f} MiB")
    registry.curl("/v1/servers/one-more", method="DELETE")
    return api


def readable_by_vs_code(entry):
    """microsoft/vscode, src/vs/platform/mcp/common/mcpGalleryService.ts, toRawGalleryMcpServer and toGalleryMcpServer: an entry
    without these is dropped, and so is the whole answer if it is the first. What is read of a package or a remote, its
    installation needs."""
    server, official = entry["server"], entry["_meta"][OFFICIAL]
    assert all(isinstance(server[key], str) and server[key] for key in ["name", "description", "version"]), entry
    assert official["status"] == "active" and isinstance(official["isLatest"], bool), entry
    assert all(datetime.fromisoformat(official[key]) for key in ["publishedAt", "updatedAt"]), entry
    for package in server.get("packages", []):
        assert package["registryType"] and package["identifier"] and package["transport"]["type"] == "stdio", entry
    for each in server.get("remotes", []):
        assert each["type"] in ("streamable-http", "sse") and each["url"].startswith(("http://", "https://")), entry


def vs_code(api):
    """microsoft/vscode, in src/vs/platform/mcp/common:

    mcpGalleryManifestService.ts  asks {url}/v0.1/servers?limit=1, and if that is no success {url}/v0/servers?limit=1, which
                                  API it is.
    mcpGalleryService.ts          lists with ?limit=50&version=latest, then &cursor= as it was given, not encoded, then &search=
                                  encoded. The second page is asked for with the cursor, without the search. One server is
                                  {url}/v0.1/servers/{name, encoded}/versions/latest; a status of 400 to 499 means that it is
                                  not there.

    It sends no headers of its own. On the desktop it is a page of vscode-file://vscode-app that asks, in a browser one of
    https://vscode.dev: without access-control-allow-origin it sees nothing."""
    print("\nVS Code:")
    for origin, ask in [("vscode-file://vscode-app", api.shown), ("https://vscode.dev", api.get)]:
        probe = ask("/v0.1/servers?limit=1", origin=origin)
        assert probe.headers["access-control-allow-origin"] == "*", f"{origin} may not read: {probe.headers}"
        first = ask("/v0.1/servers?limit=50&version=latest", origin=origin)
        assert len(first.entries()) == 50 and first.cursor(), first.json["metadata"]
        text = quote("server-2", safe="")
        found = ask(f"/v0.1/servers?limit=50&version=latest&search={text}", origin=origin)
        names, pages = found.names(), 1
        while found.cursor():
            assert quote(found.cursor(), safe="") == found.cursor(), f"the cursor would have to be encoded: {found.cursor()}"
            path = f"/v0.1/servers?limit=50&version=latest&cursor={found.cursor()}"
            found = (ask if pages == 1 else api.get)(path, origin=origin)
            names, pages = names + found.names(), pages + 1
            for entry in found.entries():
                readable_by_vs_code(entry)
        has = ["server-2" in name for name in names]
        assert all(has[:100]) and not any(has[100:]), f"what has the text in its name comes first: {names[95:105]}"
        name = "com.example/server-200"
        one = ask(f"/v0.1/servers/{quote(name, safe='')}/versions/latest", origin=origin)
        readable_by_vs_code(one.json)
        assert one.json["server"]["version"] == "1.1.0" and one.headers["access-control-allow-origin"] == "*", one.json
        missing = ask(f"/v0.1/servers/{quote('com.example/nobody', safe='')}/versions/latest", status=404, origin=origin)
        assert missing.headers["access-control-allow-origin"] == "*", "that it is not there cannot be read"


def copilot(api):
    """github/docs, content/copilot/how-tos/administer-copilot/manage-mcp-usage/configure-mcp-registry.md: a registry answers
    /v0.1/servers, …/{serverName}/versions/latest and …/versions/{version}, and all of them with these three headers.

    github/copilot-cli, issue 3772: its command line asks {url}/v0.1/servers/{name}/versions/latest with accept:
    application/json and without credentials. 200 lets the server run if its package or address is the configured one, 404
    does not; with anything else every server is blocked."""
    wanted = {"access-control-allow-origin": {"*"}, "access-control-allow-methods": {"GET", "OPTIONS"},
              "access-control-allow-headers": {"Authorization", "Content-Type"}}
    name = quote("com.example/server-201", safe="")
    print("\nGitHub Copilot:")
    for path in ["/v0.1/servers", f"/v0.1/servers/{name}/versions/latest", f"/v0.1/servers/{name}/versions/1.0.0"]:
        ask = {"origin": "https://github.com", "access_control_request_method": "GET",
               "access_control_request_headers": "authorization,content-type"}
        preflight = api.shown(path, method="OPTIONS", **ask)
        assert preflight.status in (200, 204), f"OPTIONS {path}: {preflight.status}"
        answer = api.shown(path, origin="https://github.com")
        for asked in [preflight, answer]:
            for header, values in wanted.items():
                given = {value.strip() for value in asked.headers.get(header, "").split(",")}
                assert values <= given, f"{path}: {header} lacks {values - given}"
    one = api.shown(f"/v0.1/servers/{name}/versions/latest", accept="application/json")
    [where] = one.json["server"].get("packages", []) + one.json["server"].get("remotes", [])
    assert where.get("identifier") or where.get("url"), f"there is nothing to compare a configuration with: {one.json}"
    api.shown(f"/v0.1/servers/{quote('com.example/nobody', safe='')}/versions/latest", status=404, accept="application/json")


def docker(api):
    """docker/mcp-gateway, pkg/registryapi/client.go and pkg/catalog_next/create.go: `docker mcp catalog create NAME
    --from-community-registry HOST` asks https://HOST/v0/servers?version=latest&limit=100, then with &cursor= encoded, until
    there is none; any status but 200 ends it. pkg/catalog/registry_to_catalog.go takes of each server the first package of
    type oci with transport stdio, or if asked to of pypi or npm, and the first remote.

    pkg/workingset/workingset.go: `docker mcp profile server add NAME --server https://HOST/v0/servers/{name}` asks
    {…}/versions, takes the one with isLatest, and finds it by its version.

    `docker mcp catalog import --mcp-registry` reads members of a server at the top of the answer, as the API had them
    before 2025-09-29; the official registry does not answer so either."""
    print("\nDocker:")
    agent = {"user_agent": "Go-http-client/1.1", "accept_encoding": "gzip"}
    page = api.shown("/v0/servers?version=latest&limit=100", **agent)
    servers, pages = page.entries(), 1
    while page.cursor():
        path = f"/v0/servers?version=latest&limit=100&cursor={quote_plus(page.cursor())}"
        page = (api.shown if pages == 1 else api.get)(path, **agent)
        servers, pages = servers + page.entries(), pages + 1
    taken = {"npm": 0, "remote": 0}
    for entry in servers:
        server = entry["server"]
        packages = [each for each in server.get("packages", []) if each["transport"]["type"] == "stdio"]
        if server.get("remotes"):
            assert server["remotes"][0]["url"] and server["remotes"][0]["type"], entry
            taken["remote"] += 1
        else:
            assert packages[0]["registryType"] == "npm" and packages[0]["version"], entry
            taken["npm"] += 1
    assert pages == 5 and len(servers) == 450 and all(taken.values()), f"{len(servers)} servers in {pages} pages: {taken}"
    print(f"  {len(servers)} servers in {pages} pages: {taken}")
    versions = api.shown(f"/v0/servers/{quote('com.example/server-202', safe='')}/versions", **agent).entries()
    [latest] = [each["server"]["version"] for each in versions if each["_meta"][OFFICIAL]["isLatest"]]
    assert latest == "1.1.0" and [each["server"]["version"] for each in versions] == ["1.1.0", "1.0.0"], versions


def access(rules):
    """With a token and without --public-catalog, nobody but who has one; with it, everybody, and nothing else."""
    for arguments, status in [([], 401), (["--public-catalog"], 200)]:
        registry = started(f"access-{status}", *arguments)
        registry.curl("/v1/servers", body=HANDFUL[0])
        command = [BINARY, "token", "create", "--database", registry.database, "--name", "reader", "--role", "read"]
        token = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]
        api = Api(registry, rules)
        wait_until(lambda: api.send("GET", "/v1/servers").status == 401, 5, "a token closes the registry")  # noqa: B023
        for path in ["/v0.1/servers", "/v0/servers", f"/v0.1/servers/{named('modelcontextprotocol/server-filesystem')}/versions"]:
            api.get(path, status)
            api.get(path, authorization=f"Bearer {token}")
            assert api.send("POST", path).status in (401, 405), f"POST {path}"
        page = api.send("GET", "/v1/servers", origin="https://github.com")
        assert page.status == 403, f"a foreign page may read more than the catalogue: {page.status}"
        registry.stop()
    print("\ntokens: 401 without one, but with --public-catalog, and then for this API alone")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    known, failed = rules(), 0
    few = Api(started("handful"), known)
    checks = [lambda: handful(few), lambda: packages_run(few), lambda: odd(few), lambda: deleted(known)]
    many = []
    checks += [lambda: many.append(thousand(known)), lambda: vs_code(many[0]), lambda: copilot(many[0]), lambda: docker(many[0]),
               lambda: access(known)]
    for check in checks:
        try:
            check()
        except Exception:
            print("FAILED", traceback.format_exc(), flush=True)
            failed += 1
    assert not failed, f"{failed} of the checks failed"
    print("official: passed")


if __name__ == "__main__":
    sys.exit(main())
