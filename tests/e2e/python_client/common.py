"""What the trials of the client share."""

import pickle
import sys

import paulina

import harness
from python_client.async_driver import async_client

KIND = sys.argv[1]
"""`sync` for the synchronous client, or `async` for the one for asyncio."""
Client = paulina.Client if KIND == "sync" else async_client
FOLDER = harness.WORK / "python" / "-".join(sys.argv[1:3])
TTL = 2


def start_registry(name, *arguments):
    """Starts a registry in its own folder."""
    return harness.start_registry(FOLDER / name, *arguments)


def raises(kind, action, *texts):
    try:
        action()
    except kind as error:
        assert type(error) is kind, f"{type(error)} instead of {kind}"
        assert all(text in str(error) for text in texts), f"{error} does not contain {texts}"
        assert str(pickle.loads(pickle.dumps(error))) == str(error), "an error must survive pickling"
        return error
    raise AssertionError(f"no {kind.__name__}")
