"""The chart as files: generated parts are up to date, lint is clean, the golden output and the baseline hold.

After a wanted change: ``python -m tests.delivery.chart_docs --write`` and ``python -m tests.delivery.golden --write``;
the diff is what a review reads.
"""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.delivery import chart_docs, golden
from tests.delivery.helm import CASES, CHART, binary


@pytest.mark.parametrize("name", ["values.schema.json", "README.md"])
def test_generated_files_are_up_to_date(name: str):
    made = {"values.schema.json": chart_docs.schema_text, "README.md": chart_docs.readme_text}[name]()
    assert (CHART / name).read_text() == made, "run: python -m tests.delivery.chart_docs --write"


def test_every_value_has_a_description():
    said = chart_docs.described()

    def leaves(content: dict[str, object], path: str = "") -> list[str]:
        found = []
        for key, value in content.items():
            here = f"{path}{key}"
            covered = here in said
            if isinstance(value, dict) and value and not covered:
                found += leaves(value, f"{here}.")
            elif not covered:
                found.append(here)
        return found

    assert leaves(chart_docs.values()) == []


@pytest.mark.parametrize("case", CASES, ids=[path.stem for path in CASES])
def test_lint_is_clean(case: Path):
    done = subprocess.run(
        [binary("helm"), "lint", "--strict", "--quiet", str(CHART), "-f", str(case)],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_is_small_and_holds_no_test_data(tmp_path: Path):
    subprocess.run(
        [binary("helm"), "package", str(CHART), "-d", str(tmp_path)], check=True, capture_output=True, timeout=60
    )
    (package,) = tmp_path.iterdir()
    assert package.stat().st_size < 200_000
    import tarfile

    with tarfile.open(package) as archive:
        names = {name.removeprefix("horarium/") for name in archive.getnames()}
    assert {"values.schema.json", "files/alerts.yaml", "files/dashboard.json", "README.md"} <= names
    assert not [name for name in names if name.startswith("ci/") or name == "schema.yaml"]


def test_chart_and_program_have_the_same_version():
    import tomllib

    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((CHART.parent / "pyproject.toml").read_text())["project"]
    assert chart["appVersion"] == project["version"]


@pytest.mark.parametrize("name", golden.GOLDEN)
def test_the_rendered_output_is_the_golden_one(name: str):
    assert golden.path(name).read_text() == golden.text(name), (
        "run: python -m tests.delivery.golden --write, and read the diff"
    )


def test_what_can_never_change_after_an_install_has_not_changed():
    kept = json.loads(golden.BASELINE.read_text())
    now = golden.immutable()
    gone = {
        case: sorted(kept[case].keys() - now.get(case, {}).keys())
        for case in kept
        if kept[case].keys() - now.get(case, {}).keys()
    }
    assert gone == {}, "these objects have gone or are renamed; UPGRADING.md must say so, then write the baseline"
    changed = {
        f"{case}: {name}": (was, now[case][name])
        for case in kept
        for name, was in kept[case].items()
        if now[case][name] != was
    }
    assert changed == {}, "Kubernetes refuses these changes on upgrade"
