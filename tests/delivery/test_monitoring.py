"""Alert rules by promtool, each fired and kept quiet; the dashboard, query by query; both against the program's metrics."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from cluster.telemetry import NodeMetrics, StoreMetrics
from jobstore.demand import Demand
from tests.delivery.helm import CHART, ROOT, missing
from tests.support.clocks import FakeClock

ALERTS = CHART / "files" / "alerts.yaml"
DASHBOARD = json.loads((CHART / "files" / "dashboard.json").read_text())
CASES: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "alert_cases.yaml").read_text())
RULES: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
OPERATIONS = ROOT / "docs" / "operations.md"
_METRIC = re.compile(r"\b(?:horarium|process)_[a-z_]+\b")


@pytest.fixture(scope="module")
def promtool() -> str:
    own = Path(sys.prefix) / "tools" / "prometheus" / "usr" / "bin" / "promtool"
    found = str(own) if own.exists() else shutil.which("promtool")
    if found is None:
        missing("promtool", "bash .ci/promtool takes it out of Debian's package prometheus")
    return str(found)


def run(*command: str, cwd: Path) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr


def panels() -> Iterator[dict[str, Any]]:
    for panel in DASHBOARD["panels"]:
        yield panel
        yield from panel.get("panels", [])


def queries() -> list[str]:
    """Return the dashboard's expressions with Grafana's variables filled in."""
    filled = []
    for panel in panels():
        for target in panel.get("targets", []):
            text = target["expr"]
            for variable, value in (("$__rate_interval", "5m"), ("$namespace", ".*"), ("$pool", ".*")):
                text = text.replace(variable, value)
            filled.append(text)
    return filled


def exposed() -> set[str]:
    """Return the names of the series that a node exposes."""
    registry = CollectorRegistry()
    NodeMetrics(registry, about={}, tenants=("acme",))
    registry.register(StoreMetrics(lambda: [Demand(pool="x")], lambda: 0.0, FakeClock()))
    names = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
    for metric in registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(metric.type, ("",))
        names |= {metric.name + suffix for suffix in suffixes}
    return names


def test_every_alert_fires_when_it_must_and_is_quiet_when_it_must(promtool: str, tmp_path: Path):
    tests = []
    for alert, case in CASES.items():
        for outcome in ("fires", "quiet"):
            series = [{"series": name, "values": values} for name, values in case[outcome].items()]
            count = f'sum(ALERTS{{alertname="{alert}",alertstate="firing"}}) > bool 0'
            found = [{"labels": "{}", "value": 1}] if outcome == "fires" else []
            tests.append(
                {
                    "interval": "1m",
                    "name": f"{alert} {outcome}",
                    "input_series": series,
                    "promql_expr_test": [{"expr": count, "eval_time": case["at"], "exp_samples": found}],
                }
            )
    (tmp_path / "alerts.yaml").write_text(ALERTS.read_text())
    (tmp_path / "tests.yaml").write_text(
        yaml.safe_dump({"rule_files": ["alerts.yaml"], "evaluation_interval": "1m", "tests": tests})
    )
    run(promtool, "test", "rules", "tests.yaml", cwd=tmp_path)


def test_every_alert_has_a_case_a_severity_and_a_runbook_that_is_written():
    assert sorted(CASES) == sorted(rule["alert"] for rule in RULES)
    runbooks = OPERATIONS.read_text()
    for rule in RULES:
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert page == "docs/operations.md"
        assert f'<a id="{anchor}"></a>' in runbooks, rule["alert"]
        assert rule["alert"] in runbooks, rule["alert"]


def test_promtool_accepts_the_rules_the_configuration_and_every_query(promtool: str, tmp_path: Path):
    shutil.copy(ALERTS, tmp_path / "alerts.yaml")
    shutil.copy(ROOT / "deploy" / "prometheus" / "prometheus.yaml", tmp_path / "prometheus.yaml")
    recorded = [{"record": f"query:{index}", "expr": text} for index, text in enumerate(queries())]
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    run(promtool, "check", "config", "prometheus.yaml", cwd=tmp_path)
    run(promtool, "check", "rules", "alerts.yaml", "queries.yaml", cwd=tmp_path)


def test_alerts_and_dashboard_speak_only_of_series_that_exist():
    asked = {name for text in [*queries(), *(rule["expr"] for rule in RULES)] for name in _METRIC.findall(text)}
    assert asked - exposed() == set()
    assert {name.removesuffix("_total") for name in asked} >= {
        "horarium_firings", "horarium_claims", "horarium_claim_conflicts", "horarium_leases_expired",
        "horarium_refused_writes", "horarium_backlog", "horarium_pool_slots", "horarium_clock_offset_seconds",
    }  # fmt: skip


def test_the_dashboard_is_whole():
    assert (DASHBOARD["uid"], DASHBOARD["title"]) == ("horarium", "Horarium")
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource", "namespace", "pool"]
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    for panel in panels():
        if panel["type"] == "row":
            continue
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["title"]
        assert panel["targets"]
        assert panel["fieldConfig"]["defaults"]["unit"] != "", panel["title"]


def test_panels_do_not_lie_on_one_another():
    taken: dict[tuple[int, int], str] = {}
    for panel in panels():
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken[x, y])
                taken[x, y] = panel["title"]


@pytest.mark.parametrize(
    ("link", "source"), [("prometheus/alerts.yaml", "alerts.yaml"), ("grafana/dashboard.json", "dashboard.json")]
)
def test_deploy_and_chart_have_one_source(link: str, source: str):
    assert (ROOT / "deploy" / link).resolve() == CHART / "files" / source
