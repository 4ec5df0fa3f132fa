"""Access to /mcp: origins, hosts and tokens."""

import contextlib
import json
import os
import subprocess
import urllib.request

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from harness import BINARY, create_token
from registry_mcp.python_sdk import plain
from registry_mcp.registry import RawClient, problem, start_registry
from registry_mcp.servers import READING, SERVERS, WRITING, new
from registry_mcp.streams import wait_for_end

REVOKED = 5.0  # seconds until streams end with their token


async def foreign_origins(registry):
    raw, ping = RawClient(registry), {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    for method in ["POST", "GET", "DELETE"]:
        body = ping if method == "POST" else None
        for name, value in [("origin", "https://evil.example"), ("origin", "null"), ("host", "evil.example")]:
            refusal = problem(raw.send(method, body, **{name: value}))
            assert refusal == (403, f"{name}_not_allowed"), f"{method} with {name}: {value}: {refusal}"
    own = raw.initialize().send("POST", ping, origin=registry.url)
    assert own.status == 200, f"its own origin: {own.status}"
    print("a foreign Origin and a foreign Host: 403 at POST, GET and DELETE; its own origin is allowed")


def owner_of_new(registry, tokens):
    request = urllib.request.Request(
        f"{registry.url}/v1/servers/new", headers={"authorization": f"Bearer {tokens['boss']}"}
    )
    return json.load(urllib.request.urlopen(request, timeout=20))["owner"]


async def token_access():
    registry = start_registry("access")
    registry.curl("/v1/servers", body=SERVERS[0])
    tokens = {
        name: create_token(registry, name, role)
        for name, role in [("reader", "read"), ("ci", "register"), ("other", "register"), ("boss", "admin")]
    }
    for secret in [None, "paulina_" + "x" * 43]:
        answer = RawClient(registry, secret).send("POST", {"jsonrpc": "2.0", "id": 1, "method": "ping"})
        assert answer.headers["www-authenticate"].startswith("Bearer"), "401 without WWW-Authenticate"
        assert problem(answer) == (401, "unauthorized"), f"with the token {secret}"
    with open(os.devnull, "w") as devnull, contextlib.redirect_stderr(devnull):
        for mode in ["legacy", "auto"]:
            await with_tokens(registry, tokens, mode)
    stdio = subprocess.run(
        [BINARY, "mcp", "--registry", registry.url, "--token", tokens["reader"]],
        input="",
        text=True,
        capture_output=True,
    )
    log = registry.database.with_suffix(".log").read_text() + stdio.stderr
    assert not any(secret in log for secret in tokens.values()), "the log contains a token"
    for mode in ["legacy", "auto"]:
        for name, writing in [("reader", False), ("ci", True)]:
            arguments = ["mcp", "--registry", registry.url, "--token", tokens[name], "--allow-writes"]
            async with Client(StdioServerParameters(command=str(BINARY), args=arguments), mode=mode) as client:
                result = plain(await client.call_tool("register_server", {"registration": new("By paulina mcp")}))
                assert bool(result.get("isError")) != writing, f"paulina mcp --token of {name}: {result}"
    assert owner_of_new(registry, tokens) == "ci", "what paulina mcp registers has no owner"
    print(
        "tokens: 401 without one; read has 4 tools, register has 6 and owns what it registers, over HTTP and paulina "
        "mcp"
    )
    await revoked_token(registry, tokens)
    registry.stop()


async def with_tokens(registry, tokens, mode):
    async def tools_and(name, *calls):
        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {tokens[name]}"}) as http_client:
            async with Client(
                streamable_http_client(f"{registry.url}/mcp", http_client=http_client), mode=mode
            ) as client:
                tools = [tool.name for tool in (await client.list_tools()).tools]
                return tools, [plain(await client.call_tool(*call)) for call in calls]

    register = ("register_server", {"registration": new("By a token")})
    deregister = ("deregister_server", {"id": "new"})
    tools, [reading, writing] = await tools_and("reader", ("registry_status", {}), register)
    assert tools == READING and not reading.get("isError"), f"{mode}: a read token: {tools}, {reading}"
    assert writing["isError"] and "role register" in writing["content"][0]["text"], (
        f"{mode}: a read token registers: {writing}"
    )
    tools, [result] = await tools_and("ci", register)
    assert tools == READING + WRITING and not result.get("isError"), f"{mode}: a register token: {tools}, {result}"
    actual = owner_of_new(registry, tokens)
    assert actual == "ci", f"{mode}: what the token ci registers belongs to {actual}"
    _, results = await tools_and("other", register, deregister)
    for result in results:
        text = result["content"][0]["text"]
        assert result["isError"] and "belongs to another token" in text, (
            f"{mode}: the server of another token: {result}"
        )
    _, [result] = await tools_and("boss", deregister)
    assert not result.get("isError"), f"{mode}: an admin token deregisters it: {result}"


async def revoked_token(registry, tokens):
    """Like those of /v1/watch, the streams of /mcp send no event after their token is revoked, and end."""
    streams = [
        RawClient(registry, tokens["reader"]).initialize().stream(),
        RawClient(registry, tokens["reader"]).listen(),
    ]
    subprocess.run(
        [BINARY, "token", "revoke", "--database", registry.database, "--name", "reader"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    command = [BINARY, "deregister", "new", "--registry", registry.url, "--token", tokens["boss"]]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    took, texts = await wait_for_end(streams, REVOKED, "after their token was revoked")
    assert not any("resources/updated" in text for text in texts), f"events after their token was revoked: {texts}"
    print(f"token revoked: its streams ended {took:.1f} s later")
