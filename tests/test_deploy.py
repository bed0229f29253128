"""What stands in ``deploy/``: of one piece, by the schemas, with a configuration that the server takes. None is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from lollms_server.commands import serve
from lollms_server.room.configuration import load_configuration

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"


@pytest.fixture(scope="module")
def configured() -> Any:
    return load_configuration(DEPLOY / "serve.toml").serve


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    return made


@pytest.fixture(scope="module")
def resources() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text("utf-8")))


def test_the_configuration_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (DEPLOY / "serve.toml").read_text("utf-8").replace("/var/lib/lollms", str(tmp_path))
    file = tmp_path / "serve.toml"
    file.write_text(text, "utf-8")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert serve(["key", "add", "anna", "--config", str(file)]) == 0
    assert serve(["--config", str(file), "--check"]) == 0


def test_the_resources_are_those_of_kubernetes(resources: list[dict[str, Any]]) -> None:
    assert [resource["kind"] for resource in resources] == ["PersistentVolumeClaim", "Deployment", "Service"]
    for resource in resources:
        kubernetes_validate.validate(resource, "1.33", strict=True)
    wrong = resources[1] | {"spec": resources[1]["spec"] | {"replica": 3}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.33", strict=True)


def test_the_deployment_is_of_one_piece(resources: list[dict[str, Any]], configured: Any) -> None:
    claim, deployment, service = resources
    pod = deployment["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    containers = [*pod["initContainers"], *pod["containers"]]
    mounts = [mount for container in containers for mount in container["volumeMounts"]]
    assert {mount["name"] for mount in mounts} == set(volumes)
    assert volumes["results"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert "ReadWriteMany" in claim["spec"]["accessModes"], "all servers write there"
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    ports = {port["name"]: port["containerPort"] for port in pod["containers"][0]["ports"]}
    assert ports == {"http": configured.port, "metrics": int(configured.metrics.rpartition(":")[2])}
    assert pod["terminationGracePeriodSeconds"] > configured.grace
    writable = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"] if not mount.get("readOnly")}
    assert {str(configured.keys_path().parent), configured.jobs.results} <= writable
    assert pod["initContainers"][0]["command"][-1] == str(configured.keys_path())
    assert {probe["httpGet"]["path"] for name, probe in pod["containers"][0].items() if name.endswith("Probe")} == {
        "/health", "/ready",
    }  # fmt: skip


def test_the_composition_is_of_one_piece(composed: dict[str, Any], configured: Any) -> None:
    services = composed["services"]
    server = services["lollms"]
    assert server["deploy"]["replicas"] > 1
    assert "ports" not in server, "two of them cannot have one port"
    assert (DEPLOY / server["build"]["context"] / server["build"]["dockerfile"]).is_file()
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)
        assert set(service.get("secrets", ())) <= set(composed["secrets"])
    sources = {mount.split(":")[0] for service in services.values() for mount in service.get("volumes", ())}
    assert {source for source in sources if not source.startswith(".")} == set(composed["volumes"])
    assert all((DEPLOY / source).is_file() for source in sources if source.startswith("."))
    front = composed["configs"]["front"]["content"]
    assert f"http://lollms:{configured.port}" in front
    assert "$$" in front
    assert "$" not in front.replace("$$", ""), "compose would put a variable of its own there"
    assert str(configured.keys_path()) in server["entrypoint"][-1]
    assert str(configured.jobs.store).endswith("@database/lollms")
    writable = [mount.split(":")[0] for mount in server["tmpfs"]] + [m.split(":")[1] for m in server["volumes"]]
    assert {str(configured.keys_path().parent), configured.jobs.results} <= set(writable)
