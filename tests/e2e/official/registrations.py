"""The registrations of these tests."""


def local(id, name, registry=None, identifier=None, package=None, **more):
    known = {"package.registry": registry, "package.identifier": identifier, "package.version": package}
    metadata = {**{key: value for key, value in known.items() if value is not None}, **more.pop("metadata", {})}
    connection = {"transport": "stdio", "command": ["/usr/bin/env", id]}
    return {"id": id, "name": name, **connection, "metadata": metadata, "ttl": 3600, **more}


def remote(id, name, url=None, transport="streamable-http", **more):
    return {
        "id": id,
        "name": name,
        "transport": transport,
        "url": url or f"https://{id}.example/mcp",
        "ttl": 3600,
        **more,
    }


TOKEN = {"name": "Authorization", "description": "Bearer and a token", "required": True, "secret": True}
HANDFUL = [
    local(
        "files-1",
        "@modelcontextprotocol/server-filesystem",
        "npm",
        "@modelcontextprotocol/server-filesystem",
        "2026.8.31",
        title="Files",
        version="0.2.0",
        description="Reads and writes files",
        tags=["local"],
        environment=[
            {"name": "ROOT_FOLDER", "description": "the folder that it may read", "required": True, "secret": False}
        ],
    ),
    local(
        "git-1",
        "git",
        "pypi",
        "mcp-server-git",
        "2026.10.19",
        version="1.2.0",
        metadata={"registry.name": "com.example/git", "team": "tools"},
    ),
    local(
        "search-1",
        "com.example/search",
        "oci",
        "ghcr.io/example/search:1.4.2",
        version="1.4.2",
        environment=[{"name": "API_KEY", "required": True, "secret": True}],
    ),
    local("own-1", "own tool", version="2025-11-25"),
    remote("weather-1", "io.github.example/weather", version="1.9.0", description="Weather of " + "many towns " * 40),
    remote("weather-2", "io.github.example/weather", version="1.10.0", headers=[TOKEN], title="Wetter für alle " * 10),
    remote("weather-3", "io.github.example/weather", version="1.10.0", headers=[TOKEN]),
    remote("notes-1", "notes", transport="sse"),
]
LATEST = [
    "com.example/git@1.2.0",
    "com.example/search@1.4.2",
    "io.github.example/weather@1.10.0",
    "local/notes@0.0.0",
    "local/own-tool-{}@2025-11-25",
    "modelcontextprotocol/server-filesystem@0.2.0",
]
# Registrations that are valid here, but not in a server.json in this form.
UNUSUAL = [
    local("unusual-latest", "com.example/unusual-latest", "npm", "odd", "latest", version="1.0.0"),
    local("unusual-empty", "com.example/unusual-empty", "npm", "odd", "", version="1.0.0"),
    local("unusual-silent", "com.example/unusual-silent", "npm", "odd", version="1.0.0"),
    local("unusual-bundle", "com.example/unusual-bundle", "mcpb", "https://odd.example/odd.mcpb", version="1.0.0"),
    local("unusual-registry", "com.example/unusual-registry", "apt", "odd", "1.0", version="1.0.0"),
    local("unusual-version", "com.example/unusual-version", version="latest"),
    local("unusual-characters", "com.example/unusual-characters", version="1.0/2 beta?x#y%2F+z"),
    remote("unusual-scheme", "com.example/unusual-scheme", "HTTPS://Odd.Example/mcp", version="1.0.0"),
    remote("unusual-blank", "com.example/unusual-blank", title=" \t ", description=" \n ", version=" "),
    remote("unusual-long", "x" * 200, version="9" * 100, title="t" * 200, description="ü" * 5000),
    remote("unusual-slashes", "a/b/c/d", version="1.0.0"),
    remote("unusual-dots", "..", version="1.0.0"),
    remote("unusual-name", "com.example/unusual-name", metadata={"registry.name": "no slash"}),
    remote("unusual-versions", "com.example/versions", version="versions"),
]
