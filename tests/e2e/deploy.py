"""What is shipped beside the binary: the OpenAPI document, and the deployment files as far as they can be checked without
a container engine."""

import json
import re
import subprocess
import tomllib

import openapi_spec_validator
import yaml

from paulina import BINARY, ROOT


def main():
    document = json.loads(subprocess.run([BINARY, "openapi"], check=True, capture_output=True).stdout)
    openapi_spec_validator.validate(document)
    print(f"the document is valid OpenAPI {document['openapi']}")

    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    services = compose["services"]
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    assert services["paulina"]["image"] == f"paulina:{version}"
    assert "profiles" not in services["paulina"] and services["litestream"]["profiles"] == ["replicate"]
    for name, service in services.items():
        assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["restart"], name
        assert re.search(r":\d+\.\d+\.\d+$", service["image"]), f"{name} is not pinned"
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (ROOT / source).exists(), volume
    dockerfile = (ROOT / services["paulina"]["build"]["dockerfile"]).read_text()
    uid = re.search(r"--uid (\d+)", dockerfile)[1]
    assert services["litestream"]["user"] == uid, "both must own the database"
    for variable in re.findall(r"PAULINA_[A-Z_]+(?==)", dockerfile):
        flag = "--" + variable.removeprefix("PAULINA_").lower().replace("_", "-")
        assert f'env = "{variable}"' in (ROOT / "src/config.rs").read_text(), f"{flag} is no flag of serve"
    litestream = (ROOT / "deploy/litestream.yml").read_text()
    for variable in re.findall(r"\$\{(\w+)\}", litestream):
        assert variable in services["litestream"]["environment"], variable
    print("docker-compose.yml, Dockerfile and litestream.yml agree with each other and with the flags of serve")
    print("NOT RUN: building and starting the images, which needs a container engine")
    print("deploy: passed")


if __name__ == "__main__":
    main()
