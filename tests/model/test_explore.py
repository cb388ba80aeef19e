"""The engine itself: it finds what is reachable and wrong, by a shortest way, and what leads nowhere."""

from collections.abc import Iterator
from typing import ClassVar

import pytest

from tests.model.explore import DEAD_END, Model, Report, Step, explore, put, with_message


class Counter(Model):
    """Counts to four; a mutant breaks a rule or gets stuck."""

    MUTANTS: ClassVar = {"skips": "counts three at once", "stops": "stays at two", "needs luck": "three is a fault"}

    def start(self) -> int:
        return 0

    def steps(self, state: int) -> Iterator[Step]:
        if state == 2 and self.mutant == "stops":
            return
        if state < 4:
            lucky = state == 2 and self.mutant == "needs luck"
            yield Step(f"{state} + 1", state + 1, fault=lucky)
        if state == 1 and self.mutant == "skips":
            yield Step("1 + 3", 4)

    def settled(self, state: int) -> bool:
        return state == 4

    def broken(self, before: int, after: int) -> tuple[str, ...]:
        return ("skipped",) if after - before > 1 else ()


class Mirror(Counter):
    """Two counters that are alike."""

    def start(self) -> tuple[int, int]:  # type: ignore[override]
        return (0, 0)

    def steps(self, state: tuple[int, int]) -> Iterator[Step]:  # type: ignore[override]
        for index, value in enumerate(state):
            if value < 2:
                yield Step(f"{index}", put(state, index, value + 1))

    def settled(self, state: tuple[int, int]) -> bool:  # type: ignore[override]
        return state == (2, 2)

    def broken(self, before: object, after: object) -> tuple[str, ...]:
        return ()

    def canon(self, state: tuple[int, int]) -> tuple[int, ...]:
        return tuple(sorted(state))


def test_a_model_without_faults_is_visited_whole() -> None:
    assert explore(Counter()) == Report(5, {})


def test_a_broken_rule_is_reported_with_a_shortest_way() -> None:
    assert explore(Counter("skips")).broken == {"skipped": ("0 + 1", "1 + 3")}


def test_a_state_that_leads_nowhere_is_a_dead_end() -> None:
    assert DEAD_END in explore(Counter("stops")).broken


def test_progress_may_not_count_on_a_fault() -> None:
    assert DEAD_END in explore(Counter("needs luck")).broken


def test_mirror_images_are_one_state() -> None:
    assert explore(Mirror()) == Report(6, {})


def test_too_many_states_are_refused() -> None:
    with pytest.raises(RuntimeError, match="more than 3 states"):
        explore(Counter(), limit=3)


def test_an_unknown_mutant_is_refused() -> None:
    with pytest.raises(ValueError, match="has no mutant 'stpos'"):
        Counter("stpos")


def test_a_message_is_under_way_once_however_often_it_is_sent() -> None:
    assert with_message(with_message((), (2, 1)), (1, 1)) == ((1, 1), (2, 1))
    assert with_message(((1, 1),), (1, 1)) == ((1, 1),)
