"""What the screen remembers from one reading to the next."""

from dataclasses import replace
from typing import Any

import pytest

from cluster.dev import memory as memory_module
from cluster.dev.memory import Memory, Reading
from jobstore.firing import Firing
from jobstore.job import Job
from jobstore.tenant import Place, Tenant
from tests.unit.devmode.scenes import at, covering, job_at, unrun

TENANT = Tenant(id="acme", place=Place(uid="acme-x", database="d", jobs="j", firings="f"), created_at=at(-60))


def reading(seconds: float, job: Job | None, *firings: Firing, **fields: Any) -> Reading:
    jobs = {} if job is None else {"acme-x": [job]}
    return Reading(at=at(seconds), tenants=[TENANT], jobs=jobs, firings={"acme-x": firings}, **fields)


def test_a_firing_that_changes_is_counted_once() -> None:
    memory = Memory(at(-10))
    memory.take(reading(1, job_at(10), covering(0, state="dispatched", worker=None, started_at=None)))
    assert (memory.totals().fired, memory.totals().queued) == (1, 1)
    memory.take(reading(2, job_at(10), covering(0)))
    assert (memory.totals().fired, memory.totals().queued, memory.totals().outcomes) == (1, 0, {"succeeded": 1})


def test_what_was_made_before_the_run_is_not_counted() -> None:
    memory = Memory(at(15))
    memory.take(reading(25, job_at(30), covering(0), covering(10), covering(20)))
    assert memory.totals().fired == 1


def test_firings_that_are_let_go_stay_in_the_totals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "KEEP", 5)
    memory = Memory(at(-10))
    for number in range(12):
        page = [covering(start * 10) for start in range(max(0, number - 3), number + 1)]
        memory.take(reading(number * 10 + 5, job_at(number * 10 + 10), *page))
    assert memory.totals().fired == 12
    assert len(memory.firings()) == 5
    assert memory.findings() == []
    assert {cell.kind for cell in memory.strip("acme-x")} == {"succeeded"}


def test_one_that_stays_open_makes_no_gap_of_those_that_were_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "KEEP", 3)
    memory = Memory(at(-10))
    rest = [unrun(start * 10, "skipped", "overlap") for start in range(1, 8)]
    memory.take(reading(75, job_at(80), covering(0, state="running"), *rest))
    assert [firing.state for firing in memory.open_of("acme-x")] == ["running"]
    assert memory.findings() == []


def test_a_page_that_was_cut_makes_no_gap_either() -> None:
    memory = Memory(at(-10))
    memory.take(reading(5, job_at(10), covering(0)))
    memory.take(reading(95, job_at(100), covering(80), covering(90), floors={"acme-x": covering(80).nominal}))
    assert memory.findings() == []


def test_a_record_that_is_missing_is_found() -> None:
    memory = Memory(at(-10))
    memory.take(reading(35, job_at(40), covering(0), covering(10), covering(30)))
    assert [finding.kind for finding in memory.findings()] == ["lost"]
    assert [cell.kind for cell in memory.strip("acme-x")] == ["succeeded", "succeeded", "hole", "succeeded"]


def test_a_job_that_is_gone_owes_nothing_and_is_still_judged() -> None:
    memory = Memory(at(-10))
    memory.take(reading(25, job_at(30), covering(0), covering(20)))
    memory.take(replace(reading(65, None, covering(20)), jobs={"acme-x": []}))
    assert memory.strip("acme-x") == ()
    assert [finding.kind for finding in memory.findings()] == ["lost"]


def test_firings_are_shown_in_the_order_in_which_they_moved() -> None:
    memory = Memory(at(-10))
    memory.take(reading(35, job_at(40), covering(0, late=25), covering(10), unrun(20, "skipped", "overlap")))
    assert [firing.id for firing in memory.firings()] == ["acme-x:10", "acme-x:20", "acme-x:0"]
