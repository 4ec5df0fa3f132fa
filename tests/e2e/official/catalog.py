"""The catalog in the official format: a few registrations, unusual ones, deleted ones, and a thousand."""

import re
import time
from datetime import UTC, datetime, timedelta
from statistics import median
from urllib.parse import quote

from harness import wait_until
from official.api import Api, path_name, start_registry
from official.registrations import HANDFUL, LATEST, UNUSUAL, local, remote
from official.rules import LIVE, OFFICIAL, SCHEMA

MANY = 1000


def few_servers(api):
    for each in HANDFUL:
        api.registry.curl("/v1/servers", body=each)
    for version in ["/v0.1", "/v0"]:
        page = api.get(f"{version}/servers")
        assert len(page.entries()) == 7 and page.json["metadata"] == {"count": 7}, f"{version}: {page.names()}"
        latest = api.get(f"{version}/servers?version=latest").names()
        assert [re.sub("tool-[0-9a-f]{8}", "tool-{}", name) for name in latest] == LATEST, f"{version}: {latest}"
        for entry in page.entries():
            server, path = entry["server"], f"{version}/servers/{path_name(entry['server']['name'])}"
            assert server["$schema"] == SCHEMA, f"{path}: {server['$schema']}"
            one = api.get(f"{path}/versions/{quote(server['version'], safe='')}")
            assert one.json == entry, f"{path}: differs from the list"
            newest = api.get(f"{path}/versions/latest").json
            assert newest["_meta"][OFFICIAL]["isLatest"], f"{path}/versions/latest is not the latest version"
            versions = api.get(f"{path}/versions").json["servers"]
            assert entry in versions and sum(each["_meta"][OFFICIAL]["isLatest"] for each in versions) == 1, (
                f"{path}/versions"
            )
            again = api.send("GET", path, if_none_match=api.get(path).headers["etag"])
            assert again.status == 304, f"{path} with its ETag: {again.status}"
    entries = {entry["server"]["name"]: entry for entry in api.get("/v0.1/servers?version=latest").entries()}
    weather = entries["io.github.example/weather"]
    assert [each["url"] for each in weather["server"]["remotes"]] == [
        f"https://weather-{n}.example/mcp" for n in "23"
    ], weather
    assert weather["server"]["remotes"][0]["headers"] == [
        {"name": "Authorization", "description": "Bearer and a token", "isRequired": True, "isSecret": True}
    ], weather
    assert [live["id"] for live in weather["_meta"][LIVE]["servers"]] == ["weather-2", "weather-3"], weather
    files = entries["modelcontextprotocol/server-filesystem"]["server"]
    assert files["packages"] == [
        {
            "registryType": "npm",
            "identifier": "@modelcontextprotocol/server-filesystem",
            "version": "2026.8.31",
            "transport": {"type": "stdio"},
            "environmentVariables": [
                {
                    "name": "ROOT_FOLDER",
                    "description": "the folder that it may read",
                    "isRequired": True,
                    "isSecret": False,
                }
            ],
        }
    ], files
    assert "packages" not in entries[next(name for name in entries if "own-tool" in name)]["server"], (
        "a package that was not registered"
    )
    assert entries["local/notes"]["server"]["remotes"] == [{"type": "sse", "url": "https://notes-1.example/mcp"}]
    assert "error" in api.get(f"/v0.1/servers/{path_name('com.example/nobody')}/versions/latest", 404).json
    assert "error" in api.get(f"/v0.1/servers/{path_name('com.example/git')}/versions/9.9.9", 404).json
    for wrong in ["cursor=x", "limit=many", "updated_since=yesterday", "include_deleted=perhaps"]:
        api.get(f"/v0.1/servers?{wrong}", 400)
    print(f"few servers: {len(HANDFUL)}, 7 names and versions, in /v0.1 and /v0, {api.validated} responses valid")


def runnable_packages(api):
    """Checks which package clients run, and which values they request the user for.

    microsoft/vscode, src/vs/platform/mcp/common/mcpManagementService.ts: npx IDENTIFIER@VERSION, uvx
    IDENTIFIER==VERSION, docker run -i --rm IDENTIFIER:VERSION, each without the last part if there is no version. VS
    Code asks for a variable or header with a description, and sets it to an empty value otherwise.

    docker/mcp-gateway, pkg/catalog/registry_to_catalog.go: the image IDENTIFIER@VERSION, or IDENTIFIER.

    modelcontextprotocol/registry, pkg/model/types.go: an image has its version in the identifier."""
    wrong = []
    for name, expected in [
        ("com.example/search", "ghcr.io/example/search:1.4.2"),
        ("com.example/git", "mcp-server-git==2026.10.19"),
        ("modelcontextprotocol/server-filesystem", "@modelcontextprotocol/server-filesystem@2026.8.31"),
    ]:
        server = api.get(f"/v0.1/servers/{path_name(name)}/versions/latest").json["server"]
        [package] = server["packages"]
        separators = {"oci": [":", "@"], "npm": ["@"], "pypi": ["=="]}[package["registryType"]]
        ran = {
            package["identifier"] + (sign + package["version"] if package.get("version") else "") for sign in separators
        }
        wrong += [f"{name} would run as {other} instead of {expected}" for other in sorted(ran - {expected})]
        wrong += [
            f"{name}: VS Code sets {each['name']} to an empty value, because it has no description"
            for each in package.get("environmentVariables", [])
            if not each.get("description")
        ]
    assert not wrong, "\n  ".join(["packages that do not run:", *wrong])
    print("packages: VS Code and Docker run what was registered, and request for the required values")


def unusual_registrations(api):
    """Every registration results in a valid server.json. Values that are not valid there are omitted."""
    registry, wrong = api.registry, []
    for each in UNUSUAL:
        registry.curl("/v1/servers", body=each)
        [found] = [
            entry
            for entry in api.send("GET", "/v0.1/servers?limit=100").entries()
            if any(live["id"] == each["id"] for live in entry["_meta"][LIVE]["servers"])
        ]
        server = found["server"]
        errors = [
            f"/{'/'.join(map(str, error.absolute_path))}: {error.message[:160]}"
            for error in api.rules["ServerResponse"].iter_errors(found)
        ]
        for package in server.get("packages", []):
            # The version of a server often differs from that of its package: SDKs report their own version.
            if package.get("version") not in (None, each["metadata"].get("package.version")):
                errors.append(f"a package version that was not registered: {package}")
            if package["registryType"] == "mcpb" and "fileSha256" not in package:
                errors.append(f"a bundle without its SHA-256: {package}")
        one = api.send("GET", f"/v0.1/servers/{path_name(server['name'])}/versions/{path_name(server['version'])}")
        if one.status != 200 or one.json != found:
            errors.append(f"its own path returns {one.status}")
        wrong += [f"{each['id']}: {error}" for error in errors]
    for each in UNUSUAL:
        registry.curl(f"/v1/servers/{each['id']}", method="DELETE")
    assert not wrong, "\n  ".join([f"{len(wrong)} of {len(UNUSUAL)} unusual registrations:", *wrong])
    print(f"unusual registrations: {len(UNUSUAL)}, all valid")


def deleted_servers(rules):
    """Deleted servers are listed on request, during the retention of the registry."""
    registry = start_registry("deleted", "--retention", "1h")
    api = Api(registry, rules)
    since = datetime.now(UTC) - timedelta(minutes=1)
    registry.curl("/v1/servers", body=remote("stays", "com.example/stays", version="1.0.0"))
    registry.curl("/v1/servers", body={**remote("goes", "com.example/goes", version="1.0.0"), "ttl": 1})
    wait_until(
        lambda: api.get("/v0.1/servers").names() == ["com.example/stays@1.0.0"], 5, "an expired server is not listed"
    )
    for query in [
        "include_deleted=true",
        f"updated_since={quote(since.isoformat())}",
        f"updated_since={since.isoformat()}",
    ]:
        entries = api.get(f"/v0.1/servers?{query}").entries()
        status = {entry["server"]["name"]: entry["_meta"][OFFICIAL]["status"] for entry in entries}
        assert status == {"com.example/goes": "deleted", "com.example/stays": "active"}, f"{query}: {status}"
    path = f"/v0.1/servers/{path_name('com.example/goes')}/versions"
    api.get(path, 404)
    api.get(f"{path}/latest", 404)
    assert api.get(f"{path}/latest?include_deleted=true").json["_meta"][OFFICIAL]["status"] == "deleted"
    registry.stop()
    print(f"deleted servers: only on request, {api.validated} responses valid")


def thousand_servers(rules):
    """1,000 servers with 450 names, in up to three versions, some of them twice."""
    registry = start_registry("thousand", "--public-catalog")
    api, expected = Api(registry, rules), set()
    for number in range(MANY):
        name, version = f"com.example/server-{number % 450:03}", f"1.{number // 450}.0"
        if number >= 900:
            version = "1.1.0"  # a second server of this version
        kind = [local, remote][number % 2]
        more = ("npm", f"@example/server-{number % 450}", version) if kind is local else ()
        tools = [{"name": f"tool_{tool}", "description": "Does something.", "inputSchema": {}} for tool in range(8)]
        registry.curl(
            "/v1/servers",
            body=kind(
                f"many-{number}",
                name,
                *more,
                version=version,
                title=f"Server {number}",
                description="Does this and that. " * 6,
                capabilities={"tools": tools},
                tags=["many"],
            ),
        )
        expected.add(f"{name}@{version}")
    for version in ["/v0.1", "/v0"]:
        api.times.clear()
        entries, sizes = api.walk(f"{version}/servers")
        found = [f"{entry['server']['name']}@{entry['server']['version']}" for entry in entries]
        assert len(found) == len(set(found)) and set(found) == expected, f"{version}: {len(found)} of {len(expected)}"
        assert sum(len(entry["_meta"][LIVE]["servers"]) for entry in entries) == MANY, f"{version}: not all servers"
        latest, _ = api.walk(f"{version}/servers?version=latest", 30)
        assert len(latest) == 450 and all(entry["_meta"][OFFICIAL]["isLatest"] for entry in latest), (
            f"{version}: {len(latest)}"
        )
        print(
            f"{version}: {MANY} servers, {len(found)} names and versions in {len(sizes)} pages of up to {max(sizes):,} "
            "bytes, "
            f"median {median(api.times) * 1000:.1f} ms, slowest {max(api.times) * 1000:.0f} ms"
        )
    started_at = time.monotonic()
    registry.curl("/v1/servers/many-0/refresh", method="PUT")
    api.get("/v0.1/servers?limit=1")
    refreshed, started_at = time.monotonic() - started_at, time.monotonic()
    registry.curl("/v1/servers", body=remote("one-more", "com.example/one-more", version="1.0.0"))
    assert "com.example/one-more@1.0.0" in api.get("/v0.1/servers?search=one-more").names(), "not listed immediately"
    registered = time.monotonic() - started_at
    print(
        f"a page right after a refresh {refreshed * 1000:.0f} ms, after a registration {registered * 1000:.0f} ms "
        "(including the start of "
        f"curl); {api.validated} responses valid; resident {registry.resident_mib():.0f} MiB"
    )
    registry.curl("/v1/servers/one-more", method="DELETE")
    return api
