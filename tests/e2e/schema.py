"""Schemathesis against a running registry: thousands of requests made from its OpenAPI document, right and wrong ones,
alone and in sequences, without tokens and with one. Nothing may be answered that the document does not say: no 5xx, no
other status, content type, header or body; nothing right is refused, nothing wrong accepted, no token passed over.

Its command line is run, and loads this file once more for what Paulina adds to it.
"""

import atexit
import os
import re
import shutil
import subprocess

import paulina

paulina.BINARY = os.environ.get("PAULINA_BINARY", paulina.BINARY)
FOLDER = paulina.WORK / "schemathesis"
SCHEMATHESIS = paulina.WORK / "venv-schemathesis/bin/schemathesis"
EXAMPLES = 150

# Why a request that fits the document may still be refused: what JSON Schema cannot say.
BEYOND_SCHEMA = {
    "already_registered": "",  # It depends on what is registered, as 404 and 409 do.
    "invalid_registration":
        "is there twice"  # Tools and prompts are unique by name, resources by address.
        "|must be an absolute http or https URL"  # The grammar of a URL.
        "|must be at most 8192 bytes|needs a URI or template of 1–2000 bytes"  # Schemas count characters.
        "|nested deeper than"
        "|more violations than are listed here",  # What a thousand are followed by.
    "invalid_query":
        '"cursor" is not a cursor'  # Cursors come from answers.
        r'|"q" holds no word|"q" has \d+ words|"match" says how'  # What a word is, and that it says how one matches.
        "|and the other filters are more than",  # A limit on several parameters together.
}

if __name__ != "__main__":
    import schemathesis

    @schemathesis.hook
    def before_load_schema(_context, document):
        """The document calls tokens optional, since a registry without any asks for none. This one has one: unless they
        are required, nobody checks what comes without."""
        if "PAULINA_TOKEN" in os.environ:
            for operation in (operation for path in document["paths"].values() for operation in path.values()):
                if "security" in operation:
                    operation["security"] = [scheme for scheme in operation["security"] if scheme]

    @schemathesis.check
    def refused_with_reason(_context, response, case):
        """In place of `positive_data_acceptance`, which goes by the status alone."""
        if case.meta is None or not case.meta.generation.mode.is_positive:
            return
        if response.status_code in (400, 412, 422):
            problem = response.json()
            reasons = BEYOND_SCHEMA.get(problem["code"], "$^")
            details = [f"{error['pointer']} {error['detail']}" for error in problem["errors"]] or [problem["detail"]]
            unknown = [detail for detail in details if not re.search(reasons, detail)]
            assert not unknown, f"the document allows what is refused as {problem['code']}: {'; '.join(unknown[:9])}"


def check(title, *, token):
    """Runs every check against a new registry, and returns what failed."""
    registry = paulina.Registry(FOLDER / f"{title.replace(' ', '-')}.db")
    arguments, names = [], {"SCHEMATHESIS_HOOKS": "schema", "PYTHONPATH": str(paulina.ROOT / "tests/e2e")}
    if token:
        create = [paulina.BINARY, "token", "create", "--name", "e2e", "--role", "admin", "--database"]
        printed = subprocess.run([*create, registry.database], check=True, capture_output=True, text=True).stdout
        names["PAULINA_TOKEN"] = printed.split()[-1]
        arguments = ["--header", f"Authorization: Bearer {names['PAULINA_TOKEN']}"]
    registry.start()
    atexit.register(registry.process.kill)
    command = [
        SCHEMATHESIS, "run", f"{registry.url}/openapi.json", "--checks", "all", "--exclude-checks",
        "positive_data_acceptance", "--exclude-path", "/v1/watch", "--mode", "all", "--max-examples", str(EXAMPLES), "--seed", "1",
        "--generation-database", "none", "--continue-on-failure", "--no-color", *arguments]
    environment = paulina.environment(**names)
    done = subprocess.run(command, cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=600)
    registry.stop()
    log = registry.database.with_suffix(".log").read_text()
    registered = log.count(": registered id=")
    errors = [line for line in log.splitlines() if " ERROR " in line or "panicked" in line]
    counts = re.findall(r"Tested: \d+|API Links: +\d+ covered|\d+ generated", done.stdout)
    print(f"{title}: {', '.join(' '.join(count.split()) for count in counts)}; {registered} registrations accepted")
    wrong = [] if done.returncode == 0 else [done.stdout[-20000:] + done.stderr[-2000:]]
    wrong += [f"{len(errors)} errors in the log: {errors[0]}"] if errors else []
    wrong += [f"only {registered} registrations were accepted: nothing was tested"] if registered < 20 else []
    return [f"{title}: {what}" for what in wrong]


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    wrong = check("without tokens", token=False) + check("with a token", token=True)
    assert not wrong, "\n".join(wrong)
    print("schemathesis: passed")


if __name__ == "__main__":
    main()
