"""Schemathesis against a running registry: thousands of requests generated from its OpenAPI document, valid and
invalid, single and in sequences, without tokens and with one. Every response must match the document: no 5xx, and no
other status, content type, header or body. No valid request is refused, no invalid one is accepted, and no token is
ignored.

The command line of Schemathesis loads this file again for the hooks and checks that Paulina adds.
"""

import atexit
import os
import re
import shutil
import subprocess

from harness import BINARY, ROOT, WORK, Registry, environment

FOLDER = WORK / "schemathesis"
SCHEMATHESIS = WORK / "venv-schemathesis/bin/schemathesis"
EXAMPLES = 150

# Reasons to refuse a request that matches the document: rules that JSON Schema cannot express.
BEYOND_SCHEMA = {
    "already_registered": "",  # Depends on the registered servers, like 404 and 409.
    "invalid_registration": "is given twice"  # Tools and prompts are unique by name, resources by URI.
    "|must be an absolute http or https URL"  # The grammar of a URL.
    "|must be at most 8192 bytes|needs a URI or template of 1–2000 bytes"  # Schemas count characters.
    "|nested deeper than"
    "|more violations than are listed here",  # The entry after the first thousand.
    "invalid_query": '"cursor" is not a cursor'  # Cursors come from answers.
    r'|"q" contains no word|"q" has \d+ words|"match" has no effect'  # Words, and match without q.
    r"|and the other filters are \d+ in total",  # A limit on several parameters together.
}

if __name__ != "__main__":
    import schemathesis

    @schemathesis.hook
    def before_load_schema(_context, document):
        """The document declares tokens as optional, because a registry without tokens requires none. This registry
        has one: unless it is declared as required, Schemathesis does not check requests without it."""
        if "PAULINA_TOKEN" in os.environ:
            for operation in (operation for path in document["paths"].values() for operation in path.values()):
                if "security" in operation:
                    operation["security"] = [scheme for scheme in operation["security"] if scheme]

    @schemathesis.check
    def refused_with_reason(_context, response, case):
        """Replaces `positive_data_acceptance`, which checks only the status."""
        if case.meta is None or not case.meta.generation.mode.is_positive:
            return
        if response.status_code in (400, 412, 422):
            problem = response.json()
            reasons = BEYOND_SCHEMA.get(problem["code"], "$^")
            details = [f"{error['pointer']} {error['detail']}" for error in problem["errors"]] or [problem["detail"]]
            unknown = [detail for detail in details if not re.search(reasons, detail)]
            assert not unknown, (
                f"the document allows a request that is refused as {problem['code']}: {'; '.join(unknown[:9])}"
            )


def check(title, *, token):
    """Runs every check against a new registry, and returns the failures."""
    registry = Registry(FOLDER / f"{title.replace(' ', '-')}.db")
    arguments, names = [], {"SCHEMATHESIS_HOOKS": "schema", "PYTHONPATH": str(ROOT / "tests/e2e")}
    if token:
        create = [BINARY, "token", "create", "--name", "e2e", "--role", "admin", "--database"]
        printed = subprocess.run([*create, registry.database], check=True, capture_output=True, text=True).stdout
        names["PAULINA_TOKEN"] = printed.split()[-1]
        arguments = ["--header", f"Authorization: Bearer {names['PAULINA_TOKEN']}"]
    registry.start()
    atexit.register(registry.process.kill)
    command = [
        SCHEMATHESIS,
        "run",
        f"{registry.url}/openapi.json",
        "--checks",
        "all",
        "--exclude-checks",
        "positive_data_acceptance",
        "--exclude-path",
        "/v1/watch",
        "--mode",
        "all",
        "--max-examples",
        str(EXAMPLES),
        "--seed",
        "1",
        "--generation-database",
        "none",
        "--continue-on-failure",
        "--no-color",
        *arguments,
    ]
    done = subprocess.run(command, cwd=FOLDER, env=environment(**names), capture_output=True, text=True, timeout=600)
    registry.stop()
    log = registry.database.with_suffix(".log").read_text()
    registered = log.count(": registered id=")
    errors = [line for line in log.splitlines() if " ERROR " in line or "panicked" in line]
    counts = re.findall(r"Tested: \d+|API Links: +\d+ covered|\d+ generated", done.stdout)
    print(f"{title}: {', '.join(' '.join(count.split()) for count in counts)}; {registered} registrations accepted")
    wrong = [] if done.returncode == 0 else [done.stdout[-20000:] + done.stderr[-2000:]]
    wrong += [f"{len(errors)} errors in the log: {errors[0]}"] if errors else []
    wrong += [f"only {registered} registrations were accepted, which tests too little"] if registered < 20 else []
    return [f"{title}: {what}" for what in wrong]


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    wrong = check("without tokens", token=False) + check("with a token", token=True)
    assert not wrong, "\n".join(wrong)
    print("schemathesis: passed")


if __name__ == "__main__":
    main()
