"""The API of the official MCP registry, as its clients use it: every response against the released schema of
server.json, with a few registrations and with a thousand, and the requests of VS Code, GitHub Copilot and Docker."""

import shutil
import sys
import traceback

from official.access import access
from official.api import FOLDER, Api, start_registry
from official.catalog import deleted_servers, few_servers, runnable_packages, thousand_servers, unusual_registrations
from official.clients import copilot, docker, vs_code
from official.rules import load_rules


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    rules, failed = load_rules(), 0
    few = Api(start_registry("handful"), rules)
    checks = [
        lambda: few_servers(few),
        lambda: runnable_packages(few),
        lambda: unusual_registrations(few),
        lambda: deleted_servers(rules),
    ]
    many = []
    checks += [
        lambda: many.append(thousand_servers(rules)),
        lambda: vs_code(many[0]),
        lambda: copilot(many[0]),
        lambda: docker(many[0]),
        lambda: access(rules),
    ]
    for check in checks:
        try:
            check()
        except Exception:
            print("FAILED", traceback.format_exc(), flush=True)
            failed += 1
    assert not failed, f"{failed} of the checks failed"
    print("official: passed")


if __name__ == "__main__":
    sys.exit(main())
