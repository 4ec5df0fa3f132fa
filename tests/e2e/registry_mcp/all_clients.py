"""Every client asks the same questions: over streamable HTTP, and over standard input and output."""

import asyncio
import json
import subprocess

from mcp import StdioServerParameters

from harness import BINARY, ROOT, WORK
from registry_mcp.python_sdk import PythonClient
from registry_mcp.registry import fill, start_registry
from registry_mcp.report import Report
from registry_mcp.servers import LEGACY, MODERN, questions

HERE = ROOT / "tests/e2e/registry_mcp"
OLDER = [WORK / "venv-older/bin/python", HERE / "older_python_sdk.py"]
TYPESCRIPT = ["node", HERE / "typescript_sdk.mjs"]


CLIENTS = [
    ("Python SDK 2", LEGACY, "legacy"),
    ("Python SDK 2", MODERN, "auto"),
    ("Python SDK 1", LEGACY, OLDER),
    ("TypeScript SDK 1", LEGACY, [*TYPESCRIPT, "1", "legacy"]),
    ("TypeScript SDK 2", LEGACY, [*TYPESCRIPT, "2", "legacy"]),
    ("TypeScript SDK 2", MODERN, [*TYPESCRIPT, "2", "auto"]),
]


def run_client(command, **options):
    """Runs a program and returns the JSON that it prints."""
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0, f"{command[:4]}: exit code {done.returncode}: {done.stderr[-2000:]}"
    return json.loads(done.stdout)


async def with_all_clients(where, target, writing):
    print(f"{where}:")
    target, asked = list(map(str, target)), questions(writing)
    command = StdioServerParameters(command=target[0], args=target[1:])
    for name, version, mode_or_command in CLIENTS:
        if isinstance(mode_or_command, str):
            seen = await PythonClient().ask(target[0] if len(target) == 1 else command, mode_or_command, asked)
        else:
            seen = await asyncio.to_thread(run_client, [*mode_or_command, json.dumps(asked), *target])
        Report(f"{name} ({version})", version, writing, seen).check()


async def over_http(registry):
    await with_all_clients("streamable HTTP, /mcp", [f"{registry.url}/mcp"], True)


async def over_standard_input(registry):
    command = [BINARY, "mcp", "--registry", registry.url]
    await with_all_clients("paulina mcp, of a registry", command, False)
    await with_all_clients("paulina mcp --allow-writes, of a registry", [*command, "--allow-writes"], True)


async def unserved_file():
    """A file that no process serves. A served file is not opened."""
    registry = start_registry("file", "--retention", "1h")
    fill(registry)
    command = [BINARY, "mcp", "--database", registry.database]
    refusal = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert refusal.returncode == 1 and "is served by another process" in refusal.stderr, (
        f"a served file: {refusal.stderr}"
    )
    registry.stop()
    await with_all_clients("paulina mcp --database, not served", command, False)
    await with_all_clients("paulina mcp --database --allow-writes", [*command, "--allow-writes"], True)
