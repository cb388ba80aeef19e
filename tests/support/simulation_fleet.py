"""Many schedules over several processes, one for each core; run as a module it plays one share and prints the result."""

import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.simulation import Schedule, silence
from tests.support.simulation_setup import Server

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Harvest:
    """What came of a range of seeds: the findings of those that broke a promise."""

    count: int
    seconds: float
    findings: dict[int, list[str]]

    def __str__(self) -> str:
        rate = self.count / self.seconds
        return f"{self.count} schedules in {self.seconds:.0f} s, {rate:.0f} a second, {len(self.findings)} broken"


def play_all(url: str, database: str, first: int, count: int, *, processes: int) -> Harvest:
    """Play ``count`` seeds from ``first`` on, in ``processes`` processes side by side."""
    begun = time.monotonic()
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT)}
    last = first + count
    children = [
        subprocess.Popen(
            [sys.executable, "-m", __name__, url, f"{database}_{number}", *map(str, (first + number, last, processes))],
            env=environment | {"PYTHONHASHSEED": str(number)},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    findings: dict[int, list[str]] = {}
    for child in children:
        output, _ = child.communicate()
        if child.returncode != 0:
            raise AssertionError(f"a share of the schedules ended with code {child.returncode}: {output[-2000:]}")
        findings |= {int(seed): found for seed, found in json.loads(output).items()}
    return Harvest(count, time.monotonic() - begun, dict(sorted(findings.items())))


def digest(server: Server, seed: int) -> str:
    """Return a digest of everything that happened in one schedule."""
    schedule = Schedule(server, seed, tracing=True)
    schedule.run()
    return hashlib.sha256("\n".join(schedule.trace).encode()).hexdigest()


def main(words: list[str]) -> None:
    """Play every ``step``-th seed from ``first`` to before ``last``; print the findings as JSON."""
    url, database, first, last, step = words[0], words[1], *map(int, words[2:])
    silence()
    server = Server(url, database)
    findings = {}
    for seed in range(first, last, step):
        found = Schedule(server, seed).run()
        if found:
            findings[seed] = found
    server.client.drop_database(database)
    server.close()
    sys.stdout.write(json.dumps(findings))


if __name__ == "__main__":
    main(sys.argv[1:])
