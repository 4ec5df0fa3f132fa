"""Checks what a client has seen."""

import json

import jsonschema

from registry_mcp.servers import ALL, HEALTHY, HINTS, LEGACY, READ_FILE, READING, SERVERS, WRITING, questions

SOON = 1.0  # seconds until a client is notified of a change
TEXT = 20_000  # maximum bytes of the text next to a structured result


class Report:
    """What a client saw, and the checks."""

    def __init__(self, client, version, writing, seen):
        self.client, self.writing, self.seen, self.legacy = client, writing, seen, version == LEGACY
        self.tools = {tool["name"]: tool for tool in seen["tools"]}
        assert seen["version"] in (version, None), f"{client}: protocol version {seen['version']}"

    def check(self):
        self.initialization()
        self.tool_descriptions()
        self.answers()
        self.errors()
        self.resources()
        slowest = self.changes()
        delay = f", notified within {slowest * 1000:.0f} ms" if self.writing else ""
        print(
            f"  {self.client}: {len(self.tools)} tools, {self.seen['version'] or 'era not reported by the SDK'}{delay}",
            flush=True,
        )

    def initialization(self):
        server, capabilities = self.seen["server"], self.seen["capabilities"]
        assert (server["name"], server["title"]) == ("paulina", "Paulina") and server["version"], (
            f"{self.client}: {server}"
        )
        assert "tools" in capabilities, f"{self.client}: {capabilities}"
        assert capabilities["resources"] == {"subscribe": True, "listChanged": True}, f"{self.client}: {capabilities}"
        assert "find_tools" in self.seen["instructions"], f"{self.client}: the instructions do not mention find_tools"

    def tool_descriptions(self):
        assert list(self.tools) == READING + (WRITING if self.writing else []), f"{self.client}: {list(self.tools)}"
        for name, tool in self.tools.items():
            assert tool["title"] and tool["description"], f"{self.client}: {name} has no title or description"
            for schema in [tool["inputSchema"], tool["outputSchema"]]:
                jsonschema.Draft202012Validator.check_schema(schema)
                assert schema["type"] == "object", f"{self.client}: the input or output of {name} is not an object"
            hints = tool["annotations"]
            assert hints["readOnlyHint"] == (name in READING), f"{self.client}: {name} has the wrong readOnlyHint"
            assert hints["destructiveHint"] == (name in WRITING), f"{self.client}: {name} has the wrong destructiveHint"
            assert hints["openWorldHint"] is False, f"{self.client}: {name} has the wrong openWorldHint"

    def checked(self, name, result):
        """Returns the structured result, after checks of its schema and of its text."""
        return checked_result(self.client, self.tools[name], result)

    def answers(self):
        servers, tools, some, one, status = (
            self.checked(name, result)
            for (name, _), result in zip(questions(False)["calls"], self.seen["answers"], strict=True)
        )
        assert [found["id"] for found in servers["servers"]] == HEALTHY, f"{self.client}: {servers}"
        assert not servers["more"] and servers["servers"][0]["tools"] == ["read_file", "write_file"], (
            f"{self.client}: {servers}"
        )
        found = tools["tools"][0]
        assert found["name"] == "read_file" and found["inputSchema"] == READ_FILE["inputSchema"], (
            f"{self.client}: {found}"
        )
        assert [each["id"] for each in found["servers"]] == ["files", "archive"] and tools["all_words"], (
            f"{self.client}: {tools}"
        )
        assert some["tools"][0]["name"] == "read_file" and not some["all_words"], f"{self.client}: {some}"
        shown, sent = one["server"], SERVERS[0]
        assert shown["tools"][0] == READ_FILE, (
            f"{self.client}: the requested schema differs from the registered one: {shown['tools']}"
        )
        assert "inputSchema" not in shown["tools"][1], (
            f"{self.client}: a schema that was not requested: {shown['tools']}"
        )
        for member in [
            "id",
            "name",
            "title",
            "version",
            "description",
            "transport",
            "command",
            "environment",
            "metadata",
        ]:
            assert shown[member] == sent[member], f"{self.client}: {member} is {shown[member]}, not {sent[member]}"
        assert (
            shown["prompts"][0]["name"] == "summarize" and shown["resources"][0]["uri_template"] == "file:///{path}"
        ), shown
        counts = [status[key] for key in ["role", "servers", "healthy", "tools"]]
        assert counts == ["primary", len(SERVERS), len(HEALTHY), 7], f"{self.client}: {status}"

    def errors(self):
        *tools, unknown, missing = self.seen["refused"]
        for (name, (arguments, hint)), result in zip(HINTS.items(), tools, strict=True):
            assert result.get("isError") is True, (
                f"{self.client}: {name} {arguments} must result in a tool error: {result}"
            )
            [block] = result["content"]
            assert hint in block["text"], (
                f"{self.client}: {name} {arguments} results in {block['text']!r}, without {hint!r}"
            )
            # A schema cannot know which ids exist.
            schema = jsonschema.Draft202012Validator(self.tools[name]["inputSchema"])
            assert name == "get_server" or not schema.is_valid(arguments), (
                f"{self.client}: the schema of {name} accepts {arguments}"
            )
        assert unknown.get("code") == -32602, (
            f"{self.client}: an unknown tool must result in a protocol error: {unknown}"
        )
        assert "tools/list" in unknown["message"], f"{self.client}: {unknown}"
        # The era of 2026-07-28 has no separate code for this, and the newer TypeScript SDK supports none in either era.
        assert missing.get("code") in ([-32002, -32602] if self.legacy else [-32602]), f"{self.client}: {missing}"
        assert f"{ALL}/nobody" in missing["message"], f"{self.client}: {missing}"

    def resources(self):
        uris = [resource["uri"] for resource in self.seen["resources"]]
        assert uris == [ALL, *(f"{ALL}/{id}" for id in HEALTHY)], f"{self.client}: {uris}"
        assert all(resource["mimeType"] == "application/json" for resource in self.seen["resources"]), (
            f"{self.client}: {uris}"
        )
        [template] = self.seen["templates"]
        assert template["uriTemplate"] == f"{ALL}/{{id}}" and template["title"], f"{self.client}: {template}"
        everything, one = (json.loads(contents["text"]) for contents in self.seen["read"])
        assert [found["id"] for found in everything["servers"]] == HEALTHY, f"{self.client}: {everything}"
        assert one["id"] == "files" and one["capabilities"]["tools"][0] == READ_FILE, f"{self.client}: {one}"

    def changes(self):
        """Returns the longest delay of a notification."""
        if not self.writing:
            return 0
        one = ["updated paulina://servers", "updated paulina://servers/new"]
        slowest = []
        expected = [["list_changed", *one], one, ["list_changed", *one]]
        steps = zip(questions(True)["changes"], expected, self.seen["changes"], strict=True)
        for (name, _, _), notifications, change in steps:
            self.checked(name, change["answer"])
            assert sorted(what for what, _ in change["events"]) == sorted(notifications), (
                f"{self.client}: after {name}: {change['events']}"
            )
            slowest.append(max(when for _, when in change["events"]))
        assert max(slowest) < SOON, f"{self.client}: notified after {max(slowest):.2f} s"
        return max(slowest)


def checked_result(client, tool, result):
    assert not result.get("isError"), f"{client}: {tool['name']}: {result['content']}"
    structured = result["structuredContent"]
    jsonschema.Draft202012Validator(tool["outputSchema"]).validate(structured)
    [block] = result["content"]
    assert block["type"] == "text" and 0 < len(block["text"]) < TEXT, f"{client}: {tool['name']}: {block}"
    assert not block["text"].startswith("{"), f"{client}: {tool['name']} returns the structured result as text"
    return structured
