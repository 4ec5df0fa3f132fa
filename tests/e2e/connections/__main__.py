"""Thousands of connections that are slow, silent, ambiguous or interrupted: other clients are served as before,
memory is bounded, no request that is smuggled into a body is executed, and no file descriptor leaks.

The tests use raw sockets, because no HTTP client sends such requests. The well-behaved clients run in their own
process, so that they measure the registry and not the other connections.
"""

import multiprocessing
import resource
import shutil
from concurrent.futures import ProcessPoolExecutor

from connections.ambiguous_requests import KIND, request
from connections.crowds import limited, unread, with_crowd
from connections.invalid_requests import aborted, half_closed, smuggling
from connections.registry import FOLDER, Registry


def main():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard > 12000, f"needs 12,000 file descriptors, and ulimit -Hn says {hard}"
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    # A lower limit than the number of slow bodies, which must not count as requests.
    limits = ("--max-requests", "500", "--header-timeout", "22s", "--body-timeout", "22s", "--idle-timeout", "22s")
    registry = Registry("served", *limits)
    slow = [b"GET /healthz HTTP/1.1\r\nX: ", request("POST", "/v1/servers", f"{KIND}Content-Length: 1000000\r\n")]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        with_crowd(registry, pool, "slow", slow * 1000, drip=True, rounds=5)
        with_crowd(registry, pool, "idle", [b""] * 10000, drip=False, rounds=3)
    smuggling(registry)
    half_closed(registry)
    aborted(registry)
    registry.stop()
    limited()
    unread()
    print("connections: passed")


if __name__ == "__main__":
    main()
