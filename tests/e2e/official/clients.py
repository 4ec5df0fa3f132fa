"""The requests of VS Code, GitHub Copilot and Docker, and what these clients need in the responses."""

from datetime import datetime
from urllib.parse import quote, quote_plus

from official.rules import OFFICIAL


def readable_by_vs_code(entry):
    """microsoft/vscode, src/vs/platform/mcp/common/mcpGalleryService.ts, toRawGalleryMcpServer and
    toGalleryMcpServer: an entry without these members is dropped; if it is the first, so is the whole response. The
    members of a package or a remote are needed for its installation."""
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

    - mcpGalleryManifestService.ts requests {url}/v0.1/servers?limit=1 to detect the API, and if that fails
      {url}/v0/servers?limit=1.
    - mcpGalleryService.ts lists with ?limit=50&version=latest, then &cursor= as received, not encoded, then &search=
      encoded. The second page is requested with the cursor, without the search. One server is
      {url}/v0.1/servers/{name, encoded}/versions/latest; a status of 400 to 499 means that it does not exist.

    It sends no special headers. The origin is vscode-file://vscode-app on the desktop, and https://vscode.dev in a
    browser: without access-control-allow-origin, it cannot read the response."""
    print("\nVS Code:")
    for origin, request in [("vscode-file://vscode-app", api.show), ("https://vscode.dev", api.get)]:
        probe = request("/v0.1/servers?limit=1", origin=origin)
        assert probe.headers["access-control-allow-origin"] == "*", f"{origin} cannot read: {probe.headers}"
        first = request("/v0.1/servers?limit=50&version=latest", origin=origin)
        assert len(first.entries()) == 50 and first.cursor(), first.json["metadata"]
        text = quote("server-2", safe="")
        found = request(f"/v0.1/servers?limit=50&version=latest&search={text}", origin=origin)
        names, pages = found.names(), 1
        while found.cursor():
            assert quote(found.cursor(), safe="") == found.cursor(), f"the cursor needs encoding: {found.cursor()}"
            path = f"/v0.1/servers?limit=50&version=latest&cursor={found.cursor()}"
            found = (request if pages == 1 else api.get)(path, origin=origin)
            names, pages = names + found.names(), pages + 1
            for entry in found.entries():
                readable_by_vs_code(entry)
        has = ["server-2" in name for name in names]
        assert all(has[:100]) and not any(has[100:]), (
            f"servers with the text in their name must come first: {names[95:105]}"
        )
        name = "com.example/server-200"
        one = request(f"/v0.1/servers/{quote(name, safe='')}/versions/latest", origin=origin)
        readable_by_vs_code(one.json)
        assert one.json["server"]["version"] == "1.1.0" and one.headers["access-control-allow-origin"] == "*", one.json
        missing = request(
            f"/v0.1/servers/{quote('com.example/nobody', safe='')}/versions/latest", status=404, origin=origin
        )
        assert missing.headers["access-control-allow-origin"] == "*", "the 404 cannot be read"


def copilot(api):
    """github/docs, content/copilot/how-tos/administer-copilot/manage-mcp-usage/configure-mcp-registry.md: a registry
    serves /v0.1/servers, …/{serverName}/versions/latest and …/versions/{version}, all of them with these three
    headers.

    github/copilot-cli, issue 3772: its command line requests {url}/v0.1/servers/{name}/versions/latest with accept:
    application/json and without credentials. After 200, the server runs if its package or URL is the configured one;
    after 404, it does not; after any other status, every server is blocked."""
    wanted = {
        "access-control-allow-origin": {"*"},
        "access-control-allow-methods": {"GET", "OPTIONS"},
        "access-control-allow-headers": {"Authorization", "Content-Type"},
    }
    name = quote("com.example/server-201", safe="")
    print("\nGitHub Copilot:")
    for path in ["/v0.1/servers", f"/v0.1/servers/{name}/versions/latest", f"/v0.1/servers/{name}/versions/1.0.0"]:
        request = {
            "origin": "https://github.com",
            "access_control_request_method": "GET",
            "access_control_request_headers": "authorization,content-type",
        }
        preflight = api.show(path, method="OPTIONS", **request)
        assert preflight.status in (200, 204), f"OPTIONS {path}: {preflight.status}"
        answer = api.show(path, origin="https://github.com")
        for response in [preflight, answer]:
            for header, values in wanted.items():
                given = {value.strip() for value in response.headers.get(header, "").split(",")}
                assert values <= given, f"{path}: {header} lacks {values - given}"
    one = api.show(f"/v0.1/servers/{name}/versions/latest", accept="application/json")
    [where] = one.json["server"].get("packages", []) + one.json["server"].get("remotes", [])
    assert where.get("identifier") or where.get("url"), f"no package or URL to compare a configuration with: {one.json}"
    api.show(
        f"/v0.1/servers/{quote('com.example/nobody', safe='')}/versions/latest", status=404, accept="application/json"
    )


def docker(api):
    """docker/mcp-gateway, pkg/registryapi/client.go and pkg/catalog_next/create.go: `docker mcp catalog create NAME
    --from-community-registry HOST` requests https://HOST/v0/servers?version=latest&limit=100, then with &cursor=
    encoded, until there is none; any status except 200 ends it. pkg/catalog/registry_to_catalog.go uses of each
    server the first package of type oci with transport stdio, or on request of type pypi or npm, and the first
    remote.

    pkg/workingset/workingset.go: `docker mcp profile server add NAME --server https://HOST/v0/servers/{name}` requests
    {…}/versions, and uses the version with isLatest.

    `docker mcp catalog import --mcp-registry` expects the format from before 2025-09-29, with the members of a
    server at the top level. The official registry does not support that format either."""
    print("\nDocker:")
    agent = {"user_agent": "Go-http-client/1.1", "accept_encoding": "gzip"}
    page = api.show("/v0/servers?version=latest&limit=100", **agent)
    servers, pages = page.entries(), 1
    while page.cursor():
        path = f"/v0/servers?version=latest&limit=100&cursor={quote_plus(page.cursor())}"
        page = (api.show if pages == 1 else api.get)(path, **agent)
        servers, pages = servers + page.entries(), pages + 1
    used = {"npm": 0, "remote": 0}
    for entry in servers:
        server = entry["server"]
        packages = [each for each in server.get("packages", []) if each["transport"]["type"] == "stdio"]
        if server.get("remotes"):
            assert server["remotes"][0]["url"] and server["remotes"][0]["type"], entry
            used["remote"] += 1
        else:
            assert packages[0]["registryType"] == "npm" and packages[0]["version"], entry
            used["npm"] += 1
    assert pages == 5 and len(servers) == 450 and all(used.values()), f"{len(servers)} servers in {pages} pages: {used}"
    print(f"  {len(servers)} servers in {pages} pages: {used}")
    versions = api.show(f"/v0/servers/{quote('com.example/server-202', safe='')}/versions", **agent).entries()
    [latest] = [each["server"]["version"] for each in versions if each["_meta"][OFFICIAL]["isLatest"]]
    assert latest == "1.1.0" and [each["server"]["version"] for each in versions] == ["1.1.0", "1.0.0"], versions
