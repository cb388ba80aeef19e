"""Stopping code in another thread: it reaches the target, never what comes before or after it."""

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from jobstore.tenant import Place
from tests.support.waiting import eventually
from workers.live import Interrupts, Live, Run
from workers.outcome import RunLost

PLACE = Place(uid="acme-a00001", database="d", jobs="j", firings="f")


class TooLong(Exception):
    """Stands for Celery's SoftTimeLimitExceeded."""


class Spinning:
    """A target that runs until it is stopped, in a thread of its own; ``blocking`` in one call."""

    def __init__(self, interrupts: Interrupts) -> None:
        self.interrupts = interrupts
        self.run: Run | None = None
        self.ended: list[Any] = []
        self.enough = threading.Event()
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()
        eventually(lambda: self.run is not None and self.run.phase == "running")

    def _work(self) -> None:
        self.run = Run("f", "t", PLACE)
        try:
            self.ended.append(self.interrupts.call(self.run, self._spin))
        except BaseException as error:  # noqa: BLE001
            self.ended.append(type(error))

    def _spin(self) -> str:
        while not self.enough.is_set():
            self.enough.wait(0.001)
        return "done"


@pytest.fixture
def interrupts() -> Interrupts:
    return Interrupts(TooLong)


@pytest.mark.parametrize("why", [RunLost, TooLong])
def test_a_target_in_a_thread_gets_the_exception(interrupts: Interrupts, why: type[BaseException]):
    target = Spinning(interrupts)
    assert interrupts.stop(target.run, why)
    target.thread.join(5)
    assert target.ended == [why]
    assert not interrupts.stop(target.run, why), "it has ended"


def test_a_limit_strikes_once(interrupts: Interrupts):
    target = Spinning(interrupts)
    assert interrupts.stop(target.run, TooLong)
    assert not interrupts.stop(target.run, TooLong)
    target.thread.join(5)
    assert target.ended == [TooLong]


def test_nothing_is_raised_before_or_after_the_target(interrupts: Interrupts):
    run = Run("f", "t", PLACE)
    assert not interrupts.stop(run, RunLost)
    assert interrupts.call(run, lambda: "value") == "value"
    assert run.phase == "finishing"
    assert not interrupts.stop(run, RunLost)


def test_what_comes_too_late_is_taken_back(interrupts: Interrupts):
    """Stop a thousand targets at the moment at which they end: either they got it, or nothing after them does."""
    seen: list[str] = []

    def worker(rounds: int) -> None:
        for _ in range(rounds):
            run = Run("f", "t", PLACE)
            latest.append(run)
            try:
                interrupts.call(run, lambda: sum(range(200)))
            except RunLost:
                seen.append("stopped")
                continue
            for _ in range(20):  # whatever came late would be raised here, out of the try
                pass
            seen.append("ended")

    latest: list[Run] = []
    thread = threading.Thread(target=worker, args=(1000,), daemon=True)
    thread.start()
    while thread.is_alive():
        if latest:
            interrupts.stop(latest[-1], RunLost)
    assert len(seen) == 1000, "the thread died of an exception that came after its target"
    assert "ended" in seen


def in_main(interrupts: Interrupts, target: Callable[[], Any], act: Callable[[Run], None]) -> Any:
    """Call ``target`` in this, the main, thread while another one acts on the run."""
    run = Run("f", "t", PLACE)

    def other() -> None:
        eventually(lambda: run.phase == "running")
        act(run)

    thread = threading.Thread(target=other, daemon=True)
    thread.start()
    before = signal.getsignal(signal.SIGUSR1)
    try:
        return interrupts.call(run, target)
    except BaseException as error:  # noqa: BLE001
        return type(error)
    finally:
        thread.join(5)
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("why", [RunLost, TooLong])
def test_a_blocking_call_in_the_main_thread_is_ended(interrupts: Interrupts, why: type[BaseException]):
    started = time.monotonic()
    assert in_main(interrupts, lambda: time.sleep(30), lambda run: interrupts.stop(run, why)) is why
    assert time.monotonic() - started < 10


def test_the_pools_own_signal_is_the_time_limit_and_strikes_once(interrupts: Interrupts):
    caught = []

    def target() -> str:
        for _ in range(2):
            try:
                time.sleep(0.4)
            except TooLong:
                caught.append(TooLong)
        return "tidied up"

    def act(_: Run) -> None:
        for _ in range(3):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    assert in_main(interrupts, target, act) == "tidied up"
    assert caught == [TooLong]


def test_the_signal_of_another_task_goes_to_whoever_had_it_before(interrupts: Interrupts):
    got: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: got.append(number))
    try:
        interrupts.call(Run("f", "t", PLACE), lambda: None)  # arms
        signal.raise_signal(signal.SIGUSR1)
        interrupts.call(Run("f", "t", PLACE), lambda: None)  # does not take itself for the one before
        signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert got == [signal.SIGUSR1] * 2


def test_a_signal_that_arrives_in_our_own_phases_is_not_raised(interrupts: Interrupts):
    run = Run("f", "t", PLACE)
    before = signal.getsignal(signal.SIGUSR1)
    try:

        def target() -> str:
            run.phase = "finishing"  # the target has returned, the signal of its limit arrives
            signal.raise_signal(signal.SIGUSR1)
            return "unharmed"

        assert interrupts.call(run, target) == "unharmed"
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_run_is_listed_from_before_its_begin_and_checked_only_while_its_target_runs():
    live, run = Live(), Run("f", "t", PLACE)
    live.enter(run)
    assert live.tokens() == ["t"]
    assert live.running() == []
    run.phase = "running"
    assert live.running() == [run]
    run.phase = "finishing"
    assert live.running() == []
    assert live.tokens() == ["t"]
    live.leave(run)
    assert live.tokens() == []
