"""The Python client (clients/python): built, installed as its users install it, used with real registries, and used
in servers that announce themselves.

The parts run at the same time, each with the interpreter of its own environment.
"""

import atexit
import re
import shutil
import subprocess
import sys

from harness import ROOT, WORK, Registry, environment, wait_until

PACKAGE = ROOT / "clients/python"
TESTS = ROOT / "tests/e2e"
FOLDER = WORK / "python"
TOOLS = WORK / "venv-python/bin"
EMPTY = FOLDER / "venv-empty/bin"


def run(*words, cwd=None, **variables):
    """Runs a program, which must succeed, and returns its output."""
    command = [str(word) for word in words]
    caches = {"MYPY_CACHE_DIR": str(FOLDER / "mypy"), "RUFF_CACHE_DIR": str(FOLDER / "ruff")}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment(**caches, **variables))
    assert done.returncode == 0, f"{words[0]} {words[1:]}:\n{done.stdout}{done.stderr}"
    return done.stdout


def check_types_and_style():
    """Checks the types and the style of the package, and the types of the examples in its README."""
    run(TOOLS / "mypy", "--strict", "src", "tests", cwd=PACKAGE, MYPYPATH="src")
    run(TOOLS / "ruff", "check", ".", cwd=PACKAGE)
    run(TOOLS / "ruff", "format", "--check", ".", cwd=PACKAGE)
    blocks = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)
    examples = FOLDER / "readme"
    examples.mkdir()
    for name, text in blocks:
        (examples / name).write_text(text)
    run(TOOLS / "mypy", "--strict", *examples.glob("*.py"), MYPYPATH=str(PACKAGE / "src"))
    print(f"mypy --strict and ruff: no finding; README: {', '.join(name for name, _ in blocks)} pass, too")
    return examples


def test_vectors():
    """Runs the test vectors that the Rust, Python and TypeScript clients share."""
    run(TOOLS / "python", "tests/test_vectors.py", cwd=PACKAGE, PYTHONPATH="src", PYTHONDONTWRITEBYTECODE="1")
    print("test vectors: passed")


def build_and_install():
    """Builds the source distribution, and the wheel from it. Installs the wheel into an empty environment."""
    distributions = FOLDER / "dist"
    run(TOOLS / "python", "-m", "build", "--no-isolation", "--outdir", distributions, PACKAGE)
    names = sorted(path.name for path in distributions.iterdir())
    assert names == ["paulina-0.1.0-py3-none-any.whl", "paulina-0.1.0.tar.gz"], names
    wheel = distributions / names[0]
    run(TOOLS / "python", "-m", "venv", EMPTY.parent)
    run(EMPTY / "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    run(EMPTY / "pip", "check")
    listed = run(EMPTY / "pip", "list", "--format", "freeze").split()
    packages = [line.replace("==", " ") for line in listed if not line.startswith(("pip=", "setuptools="))]
    found = run(EMPTY / "python", "-c", "import paulina; print(paulina.__version__, paulina.__file__)", cwd=FOLDER)
    version, where = found.split()
    files = {path.name for path in (EMPTY.parent / "lib").glob("*/site-packages/paulina/*")}
    assert version == "0.1.0" and str(EMPTY.parent) in where and "py.typed" in files, found
    licenses = list(EMPTY.parent.glob("lib/*/site-packages/paulina-*/licenses/LICENSE-*"))
    assert len(licenses) == 2, licenses
    for folder in ("venv-python", "venv-python-fastmcp", "venv-older"):
        pip = WORK / folder / "bin/pip"
        run(pip, "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--force-reinstall", wheel)
    print(f"{', '.join(names)}; installed with {', '.join(packages)}")


def readme_example(examples):
    """Runs the server and the client of the README without changes."""
    registry = Registry(FOLDER / "readme.db")
    registry.start()
    atexit.register(lambda: registry.process.poll() is None and registry.kill())
    server = subprocess.Popen(
        [TOOLS / "python", "server.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=examples,
        stderr=subprocess.DEVNULL,
        env=environment(PAULINA_URL=registry.url),
    )
    atexit.register(server.kill)
    wait_until(lambda: registry.ids("tool=read_file&tag=production"), 30, "the README's server is registered")
    output = run(TOOLS / "python", "client.py", cwd=examples, PAULINA_URL=registry.url)
    assert output.startswith("files 1.0.0 says: {'result': '") and "localhost" in output, output
    assert server.stdin.close() is None and server.wait(10) == 0 and server.stdout.read() == b""
    assert registry.ids("name=files") == []
    registry.stop()
    print(f"README: client.py finds server.py and reads with it: {output.splitlines()[0][:60]}…")


def run_parts():
    """Runs the parts at the same time, because they mostly wait."""
    servers = [
        f"sdk={TOOLS}/python:python_client/sdk_server.py",
        f"older={WORK}/venv-older/bin/python:python_client/older_sdk_server.py",
        f"fastmcp={WORK}/venv-python-fastmcp/bin/python:python_client/fastmcp_server.py",
    ]
    commands = {
        **{
            f"{kind}-{group}": [EMPTY / "python", "-m", "python_client.trials", kind, group]
            for kind in ("sync", "async")
            for group in ("used", "lost")
        },
        "announced": [sys.executable, "-m", "python_client.announced_servers", *servers],
        "lifespan": [EMPTY / "python", "-m", "python_client.lifespan"],
    }
    running = {}
    for name, command in commands.items():
        log = open(FOLDER / f"{name}.log", "w")
        running[name] = subprocess.Popen(command, cwd=TESTS, stdout=log, stderr=log)
        atexit.register(running[name].kill)
    failed = []
    for name, process in running.items():
        if process.wait() != 0:
            failed.append(name)
        print((FOLDER / f"{name}.log").read_text())
    assert not failed, f"these failed: {failed}"


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    examples = check_types_and_style()
    test_vectors()
    build_and_install()
    readme_example(examples)
    run_parts()
    print("python_client: passed")


if __name__ == "__main__":
    sys.exit(main())
