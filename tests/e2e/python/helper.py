"""What the other tests share (`tests/e2e/paulina.py`), under another name: `paulina` is the Python client here."""

import atexit
import importlib.util
import os
import sys
from pathlib import Path

_spec = importlib.util.spec_from_file_location("helper_of_all", Path(__file__).resolve().parents[1] / "paulina.py")
shared = importlib.util.module_from_spec(_spec)
sys.modules["helper_of_all"] = shared
_spec.loader.exec_module(shared)
BINARY = shared.BINARY = Path(os.environ.get("PAULINA_BINARY", shared.BINARY)).resolve()

ROOT, Registry, environment, free_port, wait_until = (
    shared.ROOT, shared.Registry, shared.environment, shared.free_port, shared.wait_until)
WORK = shared.WORK / "python"
LITESTREAM = shared.WORK / "venv-sdk/bin/litestream"


def started(folder, *arguments):
    """A registry in a folder of its own, which ends with the test."""
    folder.mkdir(parents=True)
    registry = Registry(folder / "paulina.db", *arguments)
    registry.start()
    atexit.register(lambda: registry.process.poll() is None and registry.kill())
    return registry
