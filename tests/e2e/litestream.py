"""The registry beside Litestream: replicated under load, both killed, restored, compared row by row, served again."""

import atexit
import shutil
import sqlite3
import subprocess
import threading
import time

from paulina import ROOT, WORK, Registry, environment

FOLDER = WORK / "litestream"
LITESTREAM = WORK / "venv-sdk/bin/litestream"
SERVERS = 200
TABLES = ["settings", "servers", "leases", "tools", "resources", "prompts", "capabilities", "tags", "metadata", "changes"]


def body(number, version):
    tools = [{"name": f"tool_{tool}", "description": "Does something " * 10, "inputSchema": {"type": "object"}}
             for tool in range(10)]
    return {"id": f"s{number}", "name": f"server-{number % 7}", "version": f"1.0.{version}", "transport": "stdio",
            "command": ["true"], "capabilities": {"tools": tools, "resources": [f"db{number}:*"], "prompts": ["p"]},
            "tags": [f"t{number % 5}"], "metadata": {"n": str(number)}, "ttl": 3600}


def rows(path):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        return {table: database.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in TABLES}


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    registry = Registry(FOLDER / "paulina.db")
    registry.start()
    atexit.register(lambda: registry.process.kill())
    names = environment(PAULINA_DATABASE=str(registry.database), PAULINA_REPLICA_URL=f"file://{FOLDER}/replica")
    config = ROOT / "deploy/litestream.yml"
    replicating = subprocess.Popen([LITESTREAM, "replicate", "-config", config], env=names,
                                   stdout=open(FOLDER / "litestream.log", "wb"), stderr=subprocess.STDOUT)
    atexit.register(replicating.kill)

    refreshing = threading.Event()
    refreshed = 0

    def refresh():
        nonlocal refreshed
        while not refreshing.wait(0.05):
            answer = registry.curl("/v1/refresh", body={"ids": [f"s{number}" for number in range(SERVERS)]})
            refreshed += len(answer["refreshed"])

    beating = threading.Thread(target=refresh)
    beating.start()
    for version in range(2):
        for number in range(SERVERS):
            registry.curl("/v1/servers", body=body(number, version))
    for number in range(0, SERVERS, 10):
        registry.curl(f"/v1/servers/s{number}", method="DELETE")
    refreshing.set()
    beating.join()
    time.sleep(3)  # Litestream syncs every second.
    registry.kill()
    replicating.kill()
    replicating.wait()
    killed = rows(registry.database)

    restored = FOLDER / "restored.db"
    subprocess.run([LITESTREAM, "restore", "-config", config, "-o", restored, registry.database], check=True, env=names,
                   stdout=subprocess.DEVNULL)
    back = rows(restored)
    for table in TABLES:
        assert back[table] == killed[table], f"{table} differs after the restore"
    counts = ", ".join(f"{table} {len(back[table])}" for table in TABLES)
    print(f"restored, equal row by row: {counts}; {refreshed} refreshes in between")

    epoch = killed["settings"][0][1]
    again = Registry(restored)
    again.start()
    atexit.register(lambda: again.process.kill())
    stats = again.curl("/v1/stats")
    assert stats["servers"]["by_health"] == {"healthy": SERVERS - SERVERS // 10, "unhealthy": 0}, stats
    assert not stats["revision"].startswith(epoch), "a restored database begins a new epoch"
    again.stop()
    print(f"served again: {stats['servers']['total']} healthy, epoch {epoch} became {stats['revision'][:8]}")
    print("litestream: passed")


if __name__ == "__main__":
    main()
