"""The command line of the MCP Inspector."""

import json
import shlex
import subprocess

from harness import BINARY, WORK
from registry_mcp.report import checked_result
from registry_mcp.servers import ALL, HEALTHY, READING, WRITING

INSPECTOR = [WORK / "node_modules/.bin/mcp-inspector", "--cli"]


def run_inspector(target, *arguments, code=0):
    """Runs the Inspector and returns its output."""
    command = [*INSPECTOR, *target, "--format", "json", "-q", *arguments]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, (
        f"mcp-inspector {arguments}: exit code {done.returncode}: {done.stdout}{done.stderr}"
    )
    return json.loads(done.stdout or done.stderr)


async def inspector(registry):
    url = f"{registry.url}/mcp"
    find = ["--method", "tools/call", "--tool-name", "find_tools", "--tool-arg", "query=read file"]
    for where, target, writing in [
        ("HTTP", [url, "--transport", "http"], True),
        ("stdio", [BINARY, "mcp", "--registry", registry.url], False),
    ]:
        for era in ["legacy", "modern"]:

            def ask(*arguments, code=0):
                return run_inspector(target, "--protocol-era", era, "--method", *arguments, code=code)

            tools = ask("tools/list")["result"]["tools"]
            names = [tool["name"] for tool in tools]
            assert names == READING + (WRITING if writing else []), f"{where}, {era}: {names}"
            found = checked_result("Inspector", tools[1], run_inspector(target, "--protocol-era", era, *find)["result"])
            assert found["tools"][0]["name"] == "read_file", f"{where}, {era}: {found}"
            uris = [resource["uri"] for resource in ask("resources/list")["result"]["resources"]]
            assert uris == [ALL, *(f"{ALL}/{id}" for id in HEALTHY)], f"{where}, {era}: {uris}"
            [template] = ask("resources/templates/list")["result"]["resourceTemplates"]
            assert template["uriTemplate"] == f"{ALL}/{{id}}", f"{where}, {era}: {template}"
            [read] = ask("resources/read", "--uri", f"{ALL}/files")["result"]["contents"]
            assert json.loads(read["text"])["id"] == "files", f"{where}, {era}: {read}"
            # The Inspector exits with 5 after a tool error.
            ask("tools/call", "--tool-name", "find_tools", "--tool-arg", "query=x", "limit=99", code=5)
        print(f"the Inspector over {where}, both eras: tools, resources, the template, a call, a tool error")
    for arguments in [["--method", "tools/list"], find]:
        print(f"\n$ mcp-inspector --cli {url} --transport http {shlex.join(arguments)}")
        shown = run_inspector([url, "--transport", "http"], *arguments)["result"]
        for tool in shown.get("tools", []):
            tool.update(
                dict.fromkeys(["inputSchema", "outputSchema"], "…"), description=tool["description"][:60] + " …"
            )
        lines = [json.dumps(part, ensure_ascii=False) for part in shown.pop("tools", [])] or [
            json.dumps(shown, indent=1)
        ]
        print("\n".join(lines))
