"""What the trials of the client share."""

import atexit
import pickle
import sys

import paulina
from driven import asynchronous
from helper import WORK, Registry

KIND = sys.argv[1]
"""`sync`, the client that waits, or `async`, the one for asyncio."""
Client = paulina.Client if KIND == "sync" else asynchronous
FOLDER = WORK / KIND
TTL = 2


def started(name, *arguments):
    """A registry in a folder of its own."""
    (FOLDER / name).mkdir(parents=True)
    registry = Registry(FOLDER / name / "paulina.db", *arguments)
    registry.start()
    atexit.register(lambda: registry.process.poll() is None and registry.kill())
    return registry


def raises(kind, action, *said):
    try:
        action()
    except kind as error:
        assert type(error) is kind, f"{type(error)} instead of {kind}"
        assert all(text in str(error) for text in said), f"{error} does not say {said}"
        assert str(pickle.loads(pickle.dumps(error))) == str(error), "an error travels between processes"
        return error
    raise AssertionError(f"no {kind.__name__}")
