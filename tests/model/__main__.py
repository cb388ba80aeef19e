"""Explore every case and print what was found: ``python -m tests.model [model ...]``."""

import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.model.cases import FoundOut, Holds


def main(wanted: Sequence[str]) -> None:
    """Print a line for every case of the models named, of all without a name."""
    names = wanted or sorted(path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py"))
    for name in names:
        tests = importlib.import_module(f"tests.model.test_{name}")
        for case in [*getattr(tests, "HOLDS", ()), *getattr(tests, "FOUND_OUT", ())]:
            sys.stdout.write(f"{name}: {_line(case)}\n")
            sys.stdout.flush()


def _line(case: Holds | FoundOut) -> str:
    started = time.process_time()
    report = case.check()
    seconds = time.process_time() - started
    found = "".join(f"; {what}: {' | '.join(way)}" for what, way in report.broken.items())
    return f"{case.name}: {report.states} states, {seconds:.1f} s{found}"


if __name__ == "__main__":
    main(sys.argv[1:])
