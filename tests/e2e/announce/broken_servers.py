"""`paulina inspect` reports for each broken server what is wrong with it, and leaves no process behind."""

import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from announce.processes import BROKEN, Process, listens, processes_with
from harness import BINARY, free_port, wait_until


def inspect(mode, target, mark):
    """Returns the result and duration of `paulina inspect`. No process of the server may be left afterwards."""
    begin = time.monotonic()
    words = [BINARY, "inspect", "--timeout", "3s", *target]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=30)
    seconds = time.monotonic() - begin
    wait_until(lambda: not processes_with(mark), 1, f"{mode}: processes of the server are left: {processes_with(mark)}")
    return mode, done, seconds


def inspect_broken_servers():
    """`paulina inspect` distinguishes the broken servers."""
    ports = {mode: free_port() for mode in ("unauthorized", "web", "nothing listens")}
    behind_http = [Process(mode, [*BROKEN, mode, ports[mode]]) for mode in ("unauthorized", "web")]
    for mode in ("unauthorized", "web"):
        wait_until(lambda: listens(ports[mode]), 10, f"{mode} listens")
    words = {
        "hang": ["did not respond"],
        "die": ["exited", "API_KEY is not set"],
        "not_mcp": ["output that is not MCP", "Welcome to the server!"],
        "error": ["with an error"],
        "endless": ["does not end"],
        "no_tools_list": ["did not respond to tools/list"],
        "no such command": ["cannot start"],
        "unauthorized": ["credentials"],
        "web": ["does not speak MCP"],
        "nothing listens": ["cannot reach a server"],
        "banner": [],
    }
    mark = f"broken-{os.getpid()}"
    with ThreadPoolExecutor(len(words)) as pool:
        running = []
        for mode in words:
            target = ["--", *BROKEN, mode, f"{mark}-{mode}"]
            if mode in ports:
                target = ["--url", f"http://127.0.0.1:{ports[mode]}/mcp"]
            elif mode == "no such command":
                target = ["--", "/nowhere/server"]
            running.append(pool.submit(inspect, mode, target, f"{mark}-{mode}"))
    outcomes = [future.result() for future in running]
    wrong = []
    for mode, done, seconds in outcomes:
        message = done.stderr.strip()
        print(f"inspect: {mode:16} {seconds:.1f} s  {message or 'works'}")
        expected = 0 if mode == "banner" else 1
        if done.returncode != expected or not all(word in message for word in words[mode]) or seconds > 10:
            wrong.append((mode, words[mode], done.returncode))
    assert not wrong, f"inspect reports the wrong error: {wrong}"
    works = json.loads(outcomes[-1][1].stdout)
    assert [tool["name"] for tool in works["capabilities"]["tools"]] == ["nothing"], works
    for server in behind_http:
        server.kill()
