"""The servers in the registry, the questions that every client asks, and the expected responses."""

LEGACY, MODERN = "2025-11-25", "2026-07-28"
ALL = "paulina://servers"
READING = ["find_servers", "find_tools", "get_server", "registry_status"]
WRITING = ["register_server", "deregister_server"]


HINTS = {  # invalid arguments, and the hint in the error message
    "get_server": ({"id": "nobody"}, "find_servers returns the registered servers"),
    "find_tools": ({"query": "file", "limit": 21}, "between 1 and 20"),
    "find_servers": ({"color": "red"}, "expected one of `query`"),
    "registry_status": ({"verbose": True}, "unknown field `verbose`"),
}


def tool(name, description, **properties):
    schema = {"type": "object", "properties": {key: {"type": kind} for key, kind in properties.items()}}
    return {"name": name, "title": name.replace("_", " ").title(), "description": description, "inputSchema": schema}


def server(id, name, transport, *tools, version="1.0.0", ttl=3600, **more):
    connection = {"command": ["/usr/bin/env", id]} if transport == "stdio" else {"url": f"https://{id}.example/mcp"}
    capabilities = {"tools": list(tools), **more.pop("capabilities", {})}
    return {
        "id": id,
        "name": name,
        "version": version,
        "transport": transport,
        **connection,
        "capabilities": capabilities,
        "ttl": ttl,
        **more,
    }


READ_FILE = tool("read_file", "Reads a file as text", path="string", head="integer")
SERVERS = [
    server(
        "files",
        "filesystem",
        "stdio",
        READ_FILE,
        tool("write_file", "Writes a file", path="string", text="string"),
        title="Files",
        description="Files of this machine",
        tags=["local", "files"],
        metadata={"team": "search"},
        environment=[
            {"name": "ROOT_FOLDER", "description": "the folder that it may read", "required": True, "secret": False}
        ],
        capabilities={"resources": ["file:///{path}"], "prompts": [{"name": "summarize"}], "sampling": True},
    ),
    server(
        "weather",
        "weather",
        "streamable-http",
        tool("get_forecast", "Tells the weather of the next days", town="string"),
        version="2.1.0",
        tags=["remote", "weather"],
        headers=[{"name": "Authorization", "required": True, "secret": True}],
    ),
    server(
        "weather-old",
        "weather",
        "sse",
        tool("get_forecast", "Tells tomorrow's weather", town="string"),
        tags=["remote"],
    ),
    server(
        "archive",
        "archive",
        "streamable-http",
        READ_FILE,
        tool("search", "Searches the archive", words="string"),
        version="0.3.0",
        tags=["remote"],
    ),
    server("gone", "gone", "stdio", tool("knock", "Knocks at a door"), tags=["local"], ttl=1),
]
HEALTHY = [each["id"] for each in SERVERS[:-1]]
FOUND = [  # the arguments of find_servers, and the ids of the expected servers
    ({}, HEALTHY),
    ({"query": "forecast"}, ["weather", "weather-old"]),
    ({"query": "tells next days"}, ["weather"]),
    ({"query": "what will the weather be tomorrow"}, ["weather", "weather-old"]),
    ({"tool": "read_file"}, ["files", "archive"]),
    ({"capability": "prompts"}, ["files"]),
    ({"capability": "sampling"}, ["files"]),
    ({"resource": "file:///etc/hosts"}, ["files"]),
    ({"prompt": "summarize"}, ["files"]),
    ({"tags": ["remote"]}, ["weather", "weather-old", "archive"]),
    ({"tags": ["remote", "weather"]}, ["weather"]),
    ({"name": "weather"}, ["weather", "weather-old"]),
    ({"version": "2.1.0"}, ["weather"]),
    ({"name": "weather", "version": "1.0.0"}, ["weather-old"]),
    ({"include_unhealthy": True, "tags": ["local"]}, ["files", "gone"]),
    ({"include_unhealthy": False, "tags": ["local"]}, ["files"]),
    ({"limit": 2}, HEALTHY[:2]),
    ({"limit": 50, "query": "reads"}, ["files", "archive"]),
    ({"tool": "read_files"}, []),
]


def new(title):
    return server("new", "new", "stdio", tool("greet", "Greets"), title=title, tags=["new"])


def questions(writing):
    """Returns the questions that every client asks."""
    register = [["register_server", {"registration": new(title)}] for title in ["Before", "After"]]
    steps = [[*register[0], 3], [*register[1], 2], ["deregister_server", {"id": "new"}, 3]]
    return {
        "calls": [
            ["find_servers", {}],
            ["find_tools", {"query": "read file"}],
            ["find_tools", {"query": "read my mind"}],
            ["get_server", {"id": "files", "schemas_of": ["read_file"]}],
            ["registry_status", {}],
        ],
        "refused": [[name, arguments] for name, (arguments, _) in HINTS.items()] + [["no_such_tool", {}]],
        "read": [ALL, f"{ALL}/files"],
        "no_resource": f"{ALL}/nobody",
        "subscribe": [ALL, f"{ALL}/new"],
        "changes": steps if writing else [],
    }
