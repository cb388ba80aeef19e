"""Time limits on a clock that the test moves."""

import threading

import pytest

from jobstore.tenant import Place
from tests.support.clocks import FakeClock
from workers.limits import Limits
from workers.live import Interrupts, Run
from workers.wire import KILL_GRACE_S

PLACE = Place(uid="acme-a00001", database="d", jobs="j", firings="f")


class TooLong(Exception):
    """Stands for Celery's SoftTimeLimitExceeded."""


class Recording(Interrupts):
    """Notes whom it would stop."""

    def __init__(self) -> None:
        super().__init__(TooLong)
        self.stopped: list[tuple[str, type[BaseException]]] = []

    def stop(self, run: Run, why: type[BaseException]) -> bool:
        self.stopped.append((run.token, why))
        return True


class Idle(Limits):
    """Limits whose rounds the test makes itself."""

    def _loop(self) -> None:
        """Leave it to the test."""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def a_run(token: str, phase: str = "running") -> Run:
    run = Run("f", token, PLACE)
    run.phase = phase
    return run


def test_each_run_is_stopped_at_its_own_limit(clock: FakeClock):
    interrupts = Recording()
    limits = Idle(interrupts, clock, None)
    assert limits.run_once() is None
    limits.watch(a_run("long"), 30)
    limits.watch(a_run("short"), 10)
    assert limits.run_once() == 10
    clock.advance(9.5)
    assert limits.run_once() == 0.5
    assert interrupts.stopped == []
    clock.advance(0.5)
    assert limits.run_once() == KILL_GRACE_S
    assert interrupts.stopped == [("short", TooLong)]


def test_a_run_that_has_ended_is_not_stopped(clock: FakeClock):
    interrupts = Recording()
    limits = Idle(interrupts, clock, None)
    run = a_run("t")
    limits.watch(run, 10)
    limits.forget(run)
    limits.forget(run)
    clock.advance(60)
    assert limits.run_once() is None
    assert interrupts.stopped == []


@pytest.mark.parametrize(("phase", "killed"), [("running", 1), ("finishing", 0)])
def test_a_process_is_killed_only_while_the_target_still_runs_after_the_grace(
    clock: FakeClock, phase: str, killed: int
):
    kills: list[int] = []
    limits = Idle(Recording(), clock, lambda: kills.append(1))
    limits.watch(a_run("t", phase), 10)
    clock.advance(10 + KILL_GRACE_S - 0.5)
    assert limits.run_once() == 0.5
    assert kills == []
    clock.advance(0.5)
    assert limits.run_once() is None
    assert len(kills) == killed


def test_the_thread_wakes_for_a_limit_that_is_set_while_it_waits(clock: FakeClock):
    stopped = threading.Event()

    class Telling(Recording):
        def stop(self, run: Run, why: type[BaseException]) -> bool:
            stopped.set()
            return super().stop(run, why)

    limits = Limits(Telling(), clock, None)
    limits.watch(a_run("long"), 100)
    clock.await_waiters()
    limits.watch(a_run("short"), 1)
    clock.advance(1)
    assert stopped.wait(5)
