"""The chart speaks to the program: every argument, variable and port that it uses is one that the program knows."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cluster.operations.manifest import read_manifests
from cluster.settings import PREFIX, NodeSettings, WorkerEnvironment
from tests.delivery.helm import CASES, CHART, ROOT, Object, render

# What `horarium api` will read; the command is not there yet, and the chart leaves it out by default.
_COMING = {"HORARIUM_EXTERNAL_URL"}
_KNOWN = {
    field.alias or PREFIX + name.upper()
    for kind in (NodeSettings, WorkerEnvironment)
    for name, field in kind.model_fields.items()
}
_COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())


def horarium(*arguments: str) -> str:
    command = [str(Path(sys.executable).parent / "horarium"), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def options(command: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", horarium(command, "--help")))


def ours(pod: Object) -> Object:
    found: Object = pod["spec"]["containers"][0]
    return found


@pytest.mark.parametrize("command", ["node", "worker", "apply"])
def test_arguments_are_options_of_the_command(command: str):
    known = options(command)
    used = set()
    for case in CASES:
        for _, pod in render(case).pods():
            container = ours(pod)
            if container["command"] == ["horarium"] and container["args"][0] == command:
                used |= {part for part in container["args"] if part.startswith("-") and part != "--verbose"}
    for service in _COMPOSE["services"].values():
        if "horarium" in service["image"] and service.get("command", [""])[0] == command:
            used |= {part for part in service["command"] if part.startswith("-")}
    assert used
    assert used - known == set(), "--verbose stands for a user's own argument in ci/extras.yaml"


def test_variables_are_settings_of_the_program():
    used = set()
    for case in CASES:
        for what, pod in render(case, {"settings": {"lease": 20}}).pods():
            if "mongodb" not in what and "valkey" not in what:
                used |= {env["name"] for env in ours(pod)["env"] if env["name"].startswith("HORARIUM_")}
    used |= set(_COMPOSE["x-horarium"]["environment"])
    for unit in (ROOT / "deploy" / "systemd").iterdir():
        used |= set(re.findall(r"HORARIUM_[A-Z_]+", unit.read_text()))
    assert used - _COMING - _KNOWN == set()
    assert {"HORARIUM_MONGODB_URL", "HORARIUM_BROKER_URL", "HORARIUM_HTTP_PORT", "HORARIUM_LEASE"} <= used


def test_settings_accept_what_the_chart_gives_them(monkeypatch: pytest.MonkeyPatch):
    values = {"metrics": {"tenants": ["acme", "globex"]}, "settings": {"lease": 20}}
    deployment = render(CHART / "ci" / "minimal.yaml", values).one("Deployment", "rel-horarium-node")
    for env in deployment["spec"]["template"]["spec"]["containers"][0]["env"]:
        if "value" in env:
            monkeypatch.setenv(env["name"], env["value"])
    settings = NodeSettings()
    assert (settings.http_host, settings.http_port) == ("0.0.0.0", 9464)  # noqa: S104
    assert (settings.lease, settings.metrics_tenants, settings.stop_within) == (20, ("acme", "globex"), 30)


def test_documents_of_tenants_are_manifests():
    seen = 0
    for case in CASES:
        for name, config in render(case).kind("ConfigMap").items():
            if name.endswith("-tenants"):
                for file, text in config["data"].items():
                    (manifest,) = read_manifests(text, file)
                    assert f"{manifest.tenant}.yaml" == file
                    seen += 1
    assert seen >= 4
    text = (ROOT / "deploy" / "compose" / "tenants.yaml").read_text()
    assert [manifest.tenant for manifest in read_manifests(text, "tenants.yaml")] == ["demo"]
