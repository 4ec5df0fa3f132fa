"""Real, unmodified MCP servers behind `paulina announce`, and `paulina inspect` of broken ones.

Each announcement is a process whose standard input is held open, as an MCP client does.
"""

import asyncio
import atexit
import os
import shutil
import signal
import subprocess

from announce.broken_servers import inspect_broken_servers
from announce.lifecycle import (
    announced_at_once,
    exit_and_deregister,
    kill_servers,
    registry_unavailable,
    start_ten_servers,
)
from announce.processes import FILES, FOLDER, registered
from announce.transparency import exit_codes, large_message, overhead, python_sdk_client, same_bytes, tool_list_changed
from harness import Registry


def time_out(*_):
    raise AssertionError("not finished after five minutes")


signal.signal(signal.SIGALRM, time_out)


def main():
    signal.alarm(300)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FILES.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", FILES / "repository"], check=True)
    registry = Registry(FOLDER / "paulina.db")
    registry.start()
    atexit.register(lambda: registry.kill())
    os.environ["PAULINA_URL"] = registry.url
    announced, behind_http, ports = start_ten_servers()
    announced_at_once(announced)
    kill_servers(announced, behind_http, ports)
    registry_unavailable(registry, announced)
    exit_and_deregister(announced, behind_http)
    overhead()
    same_bytes()
    exit_codes()
    asyncio.run(python_sdk_client())
    tool_list_changed()
    for announcement in announced.values():
        if announcement.name in behind_http:
            announcement.process.terminate()
        announcement.process.stdin.close()
        assert announcement.exit_code(f"the announcement of {announcement.name}") == 0, announcement.name
    assert registered() == {}, f"all have exited and are still registered: {list(registered())}"
    for server in behind_http.values():
        server.kill()
    large_message(4 << 20, delay=0)
    large_message(150 << 10, delay=1.5)
    inspect_broken_servers()
    registry.stop()
    print("announce: passed")


if __name__ == "__main__":
    main()
