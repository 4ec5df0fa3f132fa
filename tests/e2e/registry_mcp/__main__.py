"""The registry as an MCP server, used by the available clients: both generations of the Python SDK and of the
TypeScript SDK, in both eras of the protocol, and the command line of the MCP Inspector; over streamable HTTP
(`/mcp`) and over standard input and output (`paulina mcp`).

    python -m registry_mcp [seconds of silence]

All clients ask the same questions and print what they saw; it is checked here, in one place. A session of the
`initialize` era must survive silence: its client may be an editor that is left open. SDKs keep a session for five
minutes.
"""

import asyncio
import logging
import shutil
import sys
import traceback
import warnings

from registry_mcp.access import foreign_origins, token_access
from registry_mcp.all_clients import over_http, over_standard_input, unserved_file
from registry_mcp.find_tools import find_servers, result_sizes
from registry_mcp.inspector import inspector
from registry_mcp.python_sdk import SdkWarnings
from registry_mcp.registry import FOLDER, fill, start_registry
from registry_mcp.streams import shutdown, silence

warnings.filterwarnings("ignore", message="resources/subscribe is removed")


def causes(error):
    """Returns the errors in an exception group."""
    return sum(map(causes, error.exceptions), []) if isinstance(error, BaseExceptionGroup) else [error]


async def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 330
    sdk_warnings, failed = SdkWarnings(), 0
    logging.getLogger("mcp").addHandler(sdk_warnings)
    shutil.rmtree(FOLDER, ignore_errors=True)
    registry, quiet = start_registry("registry", "--retention", "1h"), start_registry("quiet")
    fill(registry)
    waiting = asyncio.create_task(silence(quiet, seconds))
    for check in [
        over_http(registry),
        over_standard_input(registry),
        unserved_file(),
        find_servers(registry),
        result_sizes(),
        foreign_origins(registry),
        token_access(),
        shutdown(),
        inspector(registry),
        waiting,
    ]:
        try:
            await check
        except Exception as error:
            for cause in causes(error):
                print("FAILED", "".join(traceback.format_exception(cause)), flush=True)
            failed += 1
    registry.stop()
    quiet.stop()
    for warning, times in sdk_warnings.counts.items():
        print(f"the Python SDK warns, {times} times: {warning}")
    assert not failed, f"{failed} of the checks failed"
    print("registry_mcp: passed")


if __name__ == "__main__":
    asyncio.run(main())
