"""``python -m tests.bench.page``: writes docs/performance.md from the last run's results; no figure is typed by hand."""

import json
from typing import Any

from tests.bench.rows import result_folder
from tests.bench.world import ROOT

HEAD = """# Performance

Made by `make bench` and `python -m tests.bench.page`; no figure here is typed by hand. What counts is the **ratio in one
run**: absolute figures hold for one machine only. Every row runs against a fresh MongoDB (one-member replica set, journal,
majority writes) and a fresh Valkey; the work is the same for all: due no-op jobs, until the last one is handed over or has
run. The *bare loop* makes the same writes as a node (claim, ledger, advance, mark, push), batched, with nothing of the
product around them.

Commands per round are counted in `tests/integration/test_query_plans.py`: nine for a batch of 200 due jobs of one tenant,
seven for a lone due job, two for each tenant of a herd and a constant.

"""


def main() -> None:
    """Write the page."""
    results = json.loads((result_folder() / "results.json").read_text())
    machine = results["machine"]
    about = (
        f"Run of {results['made'][:16]}Z: {machine['cores']} cores, Python {machine['python']}, "
        f"pymongo {machine['pymongo']}, Celery {machine['celery']}, mongod {machine['mongod']}, "
        f"Valkey {machine['valkey']}."
    )
    lines = [
        about,
        "",
        "| row | figures: median (least to most) | runs | load |",
        "| --- | --- | --- | --- |",
        *(_row(one) for one in results["rows"]),
        "",
        "Peers: "
        + ", ".join(f"{name} {version}" for name, version in sorted(results["peers"].items()) if _shown(name)),
        "",
    ]
    (ROOT / "docs" / "performance.md").write_text(HEAD + "\n".join(lines))


def _row(result: dict[str, Any]) -> str:
    several = result["repetitions"] > 1
    figures = "; ".join(
        f"{name} **{one['median']:,.1f}**" + (f" ({one['min']:,.1f} to {one['max']:,.1f})" if several else "")
        for name, one in result["figures"].items()
    )
    return f"| {result['name']} | {figures} | {result['repetitions']} | {result['load']:.1f} |"


def _shown(name: str) -> bool:
    return name.lower() in {"apscheduler", "celery-redbeat", "rq", "rq-scheduler"}


if __name__ == "__main__":
    main()
