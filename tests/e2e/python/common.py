"""What the trials of the client share."""

import pickle
import sys

import helper
import paulina
from driven import asynchronous

KIND = sys.argv[1]
"""`sync`, the client that waits, or `async`, the one for asyncio."""
Client = paulina.Client if KIND == "sync" else asynchronous
FOLDER = helper.WORK / "-".join(sys.argv[1:3])
TTL = 2


def started(name, *arguments):
    """A registry in a folder of its own."""
    return helper.started(FOLDER / name, *arguments)


def raises(kind, action, *said):
    try:
        action()
    except kind as error:
        assert type(error) is kind, f"{type(error)} instead of {kind}"
        assert all(text in str(error) for text in said), f"{error} does not say {said}"
        assert str(pickle.loads(pickle.dumps(error))) == str(error), "an error travels between processes"
        return error
    raise AssertionError(f"no {kind.__name__}")
