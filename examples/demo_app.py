"""A plain Celery application whose tasks three made-up tenants use; one line lets Horarium run them.

    HORARIUM_APP=demo_app:app horarium worker --pool default

Results are written under HORARIUM_EXAMPLES_OUT, or under a directory of this demonstration in the system's place for
temporary files.
"""

import csv
import json
import os
import shutil
import tempfile
import threading
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from celery import Celery, signals

from workers import Retry, current_firing, install, register

HERE = Path(__file__).resolve().parent

app = Celery("demo_app")
install(app)


# -- acme sells tea things: its orders come as a CSV file


@app.task(name="examples.summarise_orders")
def summarise_orders(path: str = "data/orders.csv", by: str = "region") -> dict[str, Any]:
    """Add up what was sold, for each value of the column ``by``."""
    turnover: Counter[str] = Counter()
    pieces: Counter[str] = Counter()
    orders = 0
    for row in _orders(path):
        if row["state"] != "returned":
            orders += 1
            turnover[row[by]] += int(row["quantity"]) * int(row["unit_cents"])
            pieces[row[by]] += int(row["quantity"])
    total = sum(turnover.values())
    rows = [{by: key, "pieces": pieces[key], "eur": cents / 100} for key, cents in turnover.most_common()]
    _write(f"orders-by-{by}.json", {"orders": orders, "eur": total / 100, "rows": rows})
    return {"orders": orders, "eur": total / 100, "best": rows[0][by]}


@app.task(name="examples.rank_customers")
def rank_customers(path: str = "data/orders.csv", top: int = 10) -> list[str]:
    """Return the customers who bought most, the best first."""
    spent: dict[str, int] = defaultdict(int)
    for row in _orders(path):
        if row["state"] == "paid":
            spent[row["customer"]] += int(row["quantity"]) * int(row["unit_cents"])
    best = sorted(spent.items(), key=lambda item: (-item[1], item[0]))[:top]
    _write("best-customers.json", [{"customer": name, "eur": cents / 100} for name, cents in best])
    return [name for name, _ in best]


def _orders(path: str) -> Iterator[dict[str, str]]:
    with (HERE / path).open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


# -- globex looks after web services: it asks local ports whether they are well


@app.task(name="examples.check_http")
def check_http(port: int, path: str = "/health", timeout_s: float = 2.0) -> dict[str, Any]:
    """Ask a local port; what is not well is asked again as a further attempt, as the job's retry says."""
    url = f"http://127.0.0.1:{port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            status, words = answer.status, answer.read(200).decode(errors="replace").strip()
    except urllib.error.HTTPError as error:
        status, words = error.code, str(error.reason)
    except OSError as error:
        status, words = 0, str(getattr(error, "reason", error))
    _append(f"port-{port}.log", f"{status} {words}")
    if status != 200 and current_firing().attempt == 1:
        raise Retry(f"{url} said {status} {words}", delay_s=1.0)
    return {"url": url, "status": status, "said": words}


class _Service(BaseHTTPRequestHandler):
    """Something to check: well, but for every seventh question."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        well = self.asked % 7 != 0
        body = b"well\n" if well else b"one moment\n"
        self.send_response(200 if well else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@signals.worker_ready.connect
def serve_something_to_check(**_: Any) -> None:
    """Answer on the ports that globex checks, unless something else does already."""
    for port in (18080, 18081):
        try:
            server = ThreadingHTTPServer(("127.0.0.1", port), _Service)
        except OSError:
            continue
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True, name=f"service-{port}").start()


# -- initech keeps an eye on its disks: functions registered by name, no Celery in sight


@register("examples.report_disks")
def report_disks(paths: list[str], warn_at: float = 0.9) -> dict[str, Any]:
    """Report how full the file systems under ``paths`` are."""
    report = {}
    for path in paths:
        usage = shutil.disk_usage(path)
        report[path] = {
            "used_gib": round(usage.used / 2**30, 2),
            "free_gib": round(usage.free / 2**30, 2),
            "full": round(usage.used / usage.total, 3),
        }
    short = [path for path, found in report.items() if found["full"] >= warn_at]
    _write("disks.json", report)
    return {"paths": len(report), "short": short}


@register("examples.measure_tree")
def measure_tree(path: str = ".", largest: int = 5) -> dict[str, Any]:
    """Measure a directory with everything in it, and name its largest files."""
    root = (HERE / path).resolve()
    sizes = {str(file.relative_to(root)): file.stat().st_size for file in root.rglob("*") if file.is_file()}
    found = sorted(sizes.items(), key=lambda item: -item[1])[:largest]
    _write("tree.json", {"bytes": sum(sizes.values()), "files": len(sizes), "largest": found})
    return {"files": len(sizes), "bytes": sum(sizes.values())}


# -- what they all need


def out() -> Path:
    """Return the directory of the tenant for which this runs."""
    base = os.environ.get("HORARIUM_EXAMPLES_OUT") or Path(tempfile.gettempdir()) / "horarium-examples"
    directory = Path(base) / current_firing().tenant
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _write(name: str, value: Any) -> None:
    """Write a result, unless one with a later fence is there: a late writer changes nothing."""
    firing = current_firing()
    file = out() / name
    if file.exists() and json.loads(file.read_text())["fence"] > firing.fence:
        return
    stamped = {
        "job": firing.job,
        "nominal": firing.nominal.isoformat(),
        "instants": firing.covers.count,
        "attempt": firing.attempt,
        "fence": firing.fence,
        "result": value,
    }
    draft = file.with_name(f".{name}.{firing.fence}")
    draft.write_text(json.dumps(stamped, indent=2) + "\n")
    draft.replace(file)


def _append(name: str, line: str) -> None:
    firing = current_firing()
    with (out() / name).open("a", encoding="utf-8") as file:
        file.write(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {firing.job} {firing.attempt}: {line}\n")
