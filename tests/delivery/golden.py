"""The rendered output of three sets of values, kept to be read as a diff, and the fields that can never change.

``python -m tests.delivery.golden --write`` writes both.  The baseline grows with every release; what it holds stays.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tests.delivery.helm import CASES, CHART, render

FOLDER = Path(__file__).parent / "golden"
BASELINE = Path(__file__).parent / "baseline.json"
GOLDEN = ("minimal", "quickstart", "keda-api")


def path(name: str) -> Path:
    """Return where the golden output of a case is kept."""
    return FOLDER / f"{name}.yaml"


def text(name: str) -> str:
    """Return the output of a case now."""
    return render(CHART / "ci" / f"{name}.yaml").text


def immutable() -> dict[str, dict[str, Any]]:
    """Return by case and object what Kubernetes does not let anybody change: names, selectors, volume claims."""
    found: dict[str, dict[str, Any]] = {}
    for case in CASES:
        objects = found.setdefault(case.stem, {})
        for one in render(case).objects:
            kind, name, spec = one["kind"], one["metadata"]["name"], one.get("spec", {})
            fixed: dict[str, Any] = {}
            if kind in ("Deployment", "StatefulSet"):
                fixed["selector"] = spec["selector"]
            if kind == "StatefulSet":
                fixed |= {"serviceName": spec["serviceName"], "claims": spec.get("volumeClaimTemplates")}
            if kind == "Service":
                fixed["clusterIP"] = spec.get("clusterIP")
            if kind not in ("Job", "ConfigMap", "Pod"):
                objects[f"{one['apiVersion']} {kind} {name}"] = fixed
    return found


def main() -> None:
    """Write golden outputs and baseline."""
    if "--write" not in sys.argv:
        raise SystemExit("usage: python -m tests.delivery.golden --write")
    FOLDER.mkdir(exist_ok=True)
    for name in GOLDEN:
        path(name).write_text(text(name))
    BASELINE.write_text(json.dumps(immutable(), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
