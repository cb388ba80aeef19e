"""Dockerfile, compose file and systemd units, by the tools that know them."""

import http.server
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.delivery.helm import CHART, ROOT, missing

DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def tool(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        missing(name, "it comes with the development dependencies, or with Debian's package systemd")
    return str(found)


def run(*command: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


# -- image


def test_hadolint_finds_nothing():
    assert run(tool("hadolint"), str(DEPLOY / "Dockerfile")) == ""


def test_the_image_runs_as_a_number_from_a_safe_path_with_no_compiler_and_a_bill_of_materials():
    text = (DEPLOY / "Dockerfile").read_text()
    stages = dict(re.findall(r"^FROM \S+ AS (\w+)\n(.*?)(?=^FROM |\Z)", text, re.DOTALL | re.MULTILINE))
    build, final = stages["build"], stages["runtime"]
    assert text.rstrip().endswith("FROM runtime"), "what is built without a target is the lean one"
    assert "--require-hashes" in build
    assert "sbom.cdx.json" in build
    assert "USER 10001:10001" in final
    assert "PYTHONSAFEPATH=1" in final
    assert 'ENTRYPOINT ["horarium"]' in final
    assert "HEALTHCHECK" in final
    assert not re.search(r"apt-get|gcc|build-essential|pip install", final)
    assert text.count("ARG PYTHON_IMAGE=") == 1
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values["podSecurityContext"]["runAsUser"] == 10001


def test_what_the_image_copies_is_let_into_the_build():
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied: set[str] = set()
    for line in (DEPLOY / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            copied |= {part for part in line.split()[1:-1] if not part.startswith("--")}
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.parametrize(("status", "expected"), [(200, 0), (503, 1)])
def test_the_health_check_asks_the_port(status: int, expected: int):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        everywhere = {"HORARIUM_HTTP_PORT": str(server.server_address[1]), "HORARIUM_HTTP_HOST": "0.0.0.0"}  # noqa: S104
        assert healthcheck(everywhere) == expected
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert healthcheck({"HORARIUM_HTTP_PORT": str(server.server_address[1])}) == 1, "nobody listens any more"
    assert healthcheck({}) == 0, "a one-off command has no port"


def healthcheck(environment: dict[str, str]) -> int:
    command = [sys.executable, "-S", str(DEPLOY / "healthcheck.py")]
    return subprocess.run(command, check=False, env=environment, capture_output=True, timeout=30).returncode


# -- compose


def test_the_compose_file_is_valid():
    run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml"))


def test_the_compose_file_holds_a_whole_cluster():
    services = COMPOSE["services"]
    assert {f"mongodb-{n}" for n in (1, 2, 3)} | {f"node-{n}" for n in (1, 2, 3)} <= services.keys()
    assert {"valkey", "worker-default", "worker-reports", "prometheus", "grafana"} <= services.keys()
    for name in ("mongodb-1", "mongodb-2", "mongodb-3"):
        assert "--keyFile" in services[name]["command"]
    assert "--requirepass" in services["valkey"]["command"]


def test_every_port_is_bound_to_this_machine_only():
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_files_that_the_compose_file_mounts_are_there():
    for name, service in COMPOSE["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), (name, source)
            else:
                assert source in COMPOSE["volumes"], (name, source)


def test_processes_of_ours_run_without_rights_on_a_read_only_disk():
    for name, service in COMPOSE["services"].items():
        if "horarium" in service["image"]:
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert "user" not in service or name == "mongodb-key", name


def test_health_checks_are_strings_that_every_engine_reads_alike():
    for name, service in COMPOSE["services"].items():
        if "healthcheck" in service:
            assert isinstance(service["healthcheck"]["test"], str), name


# -- systemd


@pytest.mark.parametrize("unit", UNITS, ids=[unit.name for unit in UNITS])
def test_systemd_accepts_the_unit_and_finds_it_closed(unit: Path, tmp_path: Path):
    # Its program and its folder are not on this machine; everything else is as it ships.
    text = unit.read_text().replace("/opt/horarium/bin/horarium", "/bin/true").replace("/opt/horarium", str(tmp_path))
    copy = tmp_path / unit.name.replace("@.", "@default.")
    copy.write_text(text)
    assert run(tool("systemd-analyze"), "verify", str(copy)) == ""
    said = run(tool("systemd-analyze"), "security", "--offline=true", str(copy))
    found = re.search(r"exposure level for \S+: ([0-9.]+)", said)
    assert found is not None
    assert float(found[1]) < 4.0


@pytest.mark.parametrize("unit", UNITS, ids=[unit.name for unit in UNITS])
def test_units_stop_by_a_signal_to_the_parent_and_give_it_time(unit: Path):
    text = unit.read_text()
    assert "KillMode=mixed" in text
    seconds = re.search(r"TimeoutStopSec=(\d+)", text)
    assert seconds is not None
    assert int(seconds[1]) >= 40
