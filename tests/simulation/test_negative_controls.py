"""The same schedules against builds with one guard taken out: each must be found out, or the schedules prove nothing."""

import sys

import pytest

from tests.support.simulation import Schedule
from tests.support.simulation_sabotage import SABOTAGES
from tests.support.simulation_setup import Options, Server

MOST = 4000
EXPECTED = {
    "no begin guard": ("ran 2 times", "began 2 times"),
    "no sweep": ("is still",),
    "advance before insert": ("is lost",),
    "w:1": ("is lost", "ran 2 times", "changed", "answered"),
    "no epoch check": ("after the broker lost its data",),
    "agenda raised without seq": ("the agenda says",),
}
THEMES = {"no epoch check": "broker", "agenda raised without seq": "owner", "advance before insert": "crash"}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", SABOTAGES)
def test_a_build_without_a_guard_is_found_out(server: Server, name: str):
    options = Options(rollback=name == "w:1", theme=THEMES.get(name))
    with SABOTAGES[name]():
        for seed in range(MOST):
            found = Schedule(server, seed, options).run()
            told = [what for what in found if any(part in what for part in EXPECTED[name])]
            if told:
                sys.stdout.write(f"\n{name}: found by seed {seed}: {told[0]}" + "\n")
                return
    raise AssertionError(f"{name}: {MOST} schedules noticed nothing")
