"""Random schedules of the real code: nodes, workers and owners stopped, frozen and killed between any two writes.

``HORARIUM_TEST_SCHEDULES`` says how many (2,000 in CI, 300 elsewhere), ``HORARIUM_TEST_SEED`` the first seed.  A seed that
broke a promise is played again with everything that happened, and so can be by hand::

    HORARIUM_TEST_SEED=115 HORARIUM_TEST_SCHEDULES=1 pytest tests/simulation/test_schedules.py -s
"""

import os
import sys

import pytest

from tests.support.simulation import Schedule
from tests.support.simulation_fleet import digest, play_all
from tests.support.simulation_setup import Server

SEED = int(os.environ.get("HORARIUM_TEST_SEED", "0"))
COUNT = int(os.environ.get("HORARIUM_TEST_SCHEDULES") or (2_000 if os.environ.get("CI") else 300))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_schedule_breaks_a_promise(mongo_url: str, database_name: str, server: Server):
    if COUNT == 1:
        broken = {SEED: ["asked for"]}
    else:
        harvest = play_all(mongo_url, database_name, SEED, COUNT, processes=min(2, os.cpu_count() or 1))
        sys.stdout.write(f"\nseeds {SEED} to {SEED + COUNT - 1}: {harvest}" + "\n")
        broken = harvest.findings
    for seed, told in list(broken.items())[:1]:
        schedule = Schedule(server, seed, tracing=True)
        findings = schedule.run()
        sys.stdout.write("\n".join(schedule.trace) + "\n")
        assert not findings, f"seed {seed} broke: {findings}"
        assert COUNT == 1, f"seed {seed} broke {told} once, and not when it was played again"


def test_a_seed_plays_the_same_every_time(server: Server):
    for seed in range(7, 12):
        assert digest(server, seed) == digest(server, seed)


def test_schedules_do_what_they_are_for(server: Server):
    """Runs begin and end, are repeated after deaths, and owners are answered; nothing that never happens is proved."""
    words = {"killed", "frozen", "goes on", "forgets", "away", "answered", "task end", "MongoDB does not", "lost"}
    said: set[str] = set()
    attempts = set()
    for seed in range(200):
        schedule = Schedule(server, seed, tracing=True)
        schedule.run()
        attempts |= {attempt for _, attempt in schedule.monitor.begun}
        said |= {word for word in words - said if any(word in line for line in schedule.trace)}
        if said == words and {1, 2} <= attempts:
            return
    raise AssertionError(f"never seen: {words - said}; attempts {attempts}")
