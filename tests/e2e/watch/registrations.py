"""Random registrations, the filters of the watchers, and a second implementation of these filters."""

import re


def serves(resource, uri):
    """Whether a resource, as shown in a summary, can serve a URI."""
    if "uri_template" not in resource:
        return resource["uri"] == uri
    literals = re.split(r"\{[^}]*\}|\*", resource["uri_template"])
    return re.fullmatch(".*".join(map(re.escape, literals)), uri, re.DOTALL) is not None


def has(capabilities, name):
    value = capabilities.get(name, False)
    return bool(value) if isinstance(value, list) else value is not False


def matches(filters, server):
    """Whether a server, as shown in a summary, matches all filters."""
    capabilities = server["capabilities"]
    tests = {
        "tool": lambda value: any(tool["name"] == value for tool in capabilities["tools"]),
        "prompt": lambda value: any(prompt["name"] == value for prompt in capabilities["prompts"]),
        "resource": lambda value: any(serves(resource, value) for resource in capabilities["resources"]),
        "capability": lambda value: has(capabilities, value),
        "tag": lambda value: value in server["tags"],
        "tags": lambda value: set(value.split(",")) <= set(server["tags"]),
        "metadata": lambda value: server["metadata"].get(value.partition(":")[0]) == value.partition(":")[2],
        "healthy": lambda value: True,
    }
    return all(tests[key](value) if key in tests else server[key] == value for key, value in filters)


NAMES = ["files", "search", "mail", "maps"]
VERSIONS = ["1.0.0", "1.1.0", "2.0.0", None]
TAGS = "local remote beta stable eu us".split()
TOOLS = [f"{verb}_{noun}" for verb in ("read", "write") for noun in ("file", "mail", "map", "note")]
PROMPTS = ["summarize", "translate", "explain"]
RESOURCES = [
    "file:///etc/hosts",
    "file:///{path}",
    "db://*/users",
    "db://main/{table}",
    "doc://a?b[1]",
    "note://{a}/b/*",
    {"uri": "doc://{literal}", "name": "braces"},
    {"uriTemplate": "log://{day}", "name": "log"},
]
FLAGS = [True, False, {}, {"level": 1}]
FILTERS = [
    *[[]] * 7,
    [("healthy", "any")],
    [("healthy", "true")],
    *[[("name", value)] for value in NAMES[:3]],
    *[[("version", value)] for value in VERSIONS[:3]],
    *[[("tool", value)] for value in TOOLS[:4]],
    *[[("prompt", value)] for value in PROMPTS[:2]],
    *[
        [("resource", uri)]
        for uri in (
            "file:///etc/hosts",
            "db://main/users",
            "doc://a?b[1]",
            "doc://{literal}",
            "note://x/b/c/b/",
            "log://today",
        )
    ],
    *[[("capability", name)] for name in ("tools", "prompts", "resources", "sampling", "logging", "none")],
    *[[("tag", value)] for value in TAGS[:3]],
    [("tag", "local"), ("tag", "beta")],
    [("tags", "eu,us")],
    [("tags", "stable,local"), ("tag", "eu")],
    *[[("transport", kind)] for kind in ("stdio", "streamable-http", "sse")],
    [("metadata", "team:red")],
    [("metadata", "zone:eu:west")],
    [("metadata", "team:red"), ("metadata", "zone:eu:west")],
    [("tool", "read_file"), ("transport", "stdio")],
    [("name", "mail"), ("version", "1.0.0"), ("tag", "us")],
    [("tool", "write_map"), ("tool", "read_map"), ("capability", "logging")],
    [("resource", "file:///a"), ("metadata", "team:blue"), ("prompt", "explain")],
    [("tag", "no-server-has-this")],
]


def registration(id, mark, chance, ttl):
    """Returns a registration that matches some filters, with a unique title."""
    some = lambda values: chance.sample(values, chance.randrange(len(values) // 2 + 1))  # noqa: E731
    transport = chance.choice(
        [{"transport": "stdio", "command": ["run", mark]}]
        + [{"transport": kind, "url": f"http://127.0.0.1/{mark}"} for kind in ("streamable-http", "sse")]
    )
    flags = {name: chance.choice(FLAGS) for name in some(["sampling", "logging", "experimental", "completions"])}
    metadata = dict(some([("team", chance.choice(["red", "blue"])), ("zone", "eu:west"), ("line", "a\u2028b")]))
    return {
        "id": id,
        "name": chance.choice(NAMES),
        "title": mark,
        "version": chance.choice(VERSIONS),
        **transport,
        "description": "two\n\nlines",
        "tags": some(TAGS),
        "metadata": metadata,
        "ttl": ttl,
        "capabilities": {"tools": some(TOOLS), "prompts": some(PROMPTS), "resources": some(RESOURCES), **flags},
    }
