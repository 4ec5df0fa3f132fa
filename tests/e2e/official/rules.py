"""The schemas of the responses.

The schema of server.json is the file that the official registry released on 2025-12-11, byte for byte; the package
skillsaw contains it. No package contains the schema of the objects around a server.json, ServerResponse and ServerList:
ENVELOPE restates it.
"""

import hashlib
import importlib.resources
import json

import jsonschema

RELEASED = "3fba09590c99f61735d234822279f4223fab9e300c0a81e81c91ab62a4114de0"
OFFICIAL, LIVE = "io.modelcontextprotocol.registry/official", "paulina.registry/live"
SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"


# modelcontextprotocol/registry, docs/reference/api/openapi.yaml, version 2025-12-01. There, `metadata` and its members
# are
# optional. Clients read them anyway, so they are required here.
TIME = {"type": "string", "format": "date-time"}
ENVELOPE = {
    "ServerList": {
        "type": "object",
        "required": ["servers", "metadata"],
        "properties": {
            "servers": {"type": "array", "items": {"$ref": "#/definitions/ServerResponse"}},
            "metadata": {
                "type": "object",
                "required": ["count"],
                "properties": {"nextCursor": {"type": "string", "minLength": 1}, "count": {"type": "integer"}},
            },
        },
    },
    "ServerResponse": {
        "type": "object",
        "required": ["server", "_meta"],
        "properties": {
            "server": {"$ref": "#/definitions/ServerDetail"},
            "_meta": {
                "type": "object",
                "required": [OFFICIAL],
                "properties": {
                    OFFICIAL: {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["status", "publishedAt", "updatedAt", "isLatest"],
                        "properties": {
                            "status": {"enum": ["active", "deprecated", "deleted"]},
                            "statusMessage": {"maxLength": 500},
                            "statusChangedAt": TIME,
                            "publishedAt": TIME,
                            "updatedAt": TIME,
                            "isLatest": {"type": "boolean"},
                        },
                    }
                },
            },
        },
    },
    "Refusal": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string", "minLength": 1}}},
}


def load_rules():
    """Returns a validator for each kind of response."""
    released = importlib.resources.files("skillsaw") / "schemas/mcp_registry/v2025_12_11/server.schema.json"
    text = released.read_bytes()
    found = hashlib.sha256(text).hexdigest()
    assert found == RELEASED, f"not the released schema: its SHA-256 is {found}"
    schema = json.loads(text)
    assert schema["$id"] == SCHEMA, schema["$id"]
    checker = jsonschema.Draft7Validator.FORMAT_CHECKER
    assert "date-time" in checker.checkers, "times are not checked"
    definitions = {**schema["definitions"], **ENVELOPE}

    def validator(kind):
        whole = {"$schema": schema["$schema"], "definitions": definitions, "$ref": f"#/definitions/{kind}"}
        jsonschema.Draft7Validator.check_schema(whole)
        return jsonschema.Draft7Validator(whole, format_checker=checker)

    print(
        f"the schema of server.json: the released file of 2025-12-11, {len(text):,} bytes, SHA-256 as expected\n"
        "ServerList and ServerResponse: restated here from the official OpenAPI document, which no package contains\n"
    )
    return {kind: validator(kind) for kind in ENVELOPE}
