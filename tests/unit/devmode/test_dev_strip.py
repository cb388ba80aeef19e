"""Strips: instants from the timetable, what became of them from the ledger."""

from dataclasses import replace

from cluster.dev.strip import KEEP, JobLine, merged
from jobstore.firing import Firing
from jobstore.job import Job
from tests.unit.devmode.scenes import ZERO, covering, job_at, unrun


def drawn(job: Job, *records: Firing, now: float, floor: float = float("-inf")) -> list[tuple[float, str]]:
    line = JobLine()
    line.follow(job, records, ZERO + now)
    return [(cell.at - ZERO, cell.kind) for cell in line.cells(job, records, ZERO + now, floor)]


def test_each_instant_shows_what_became_of_it() -> None:
    records = (
        covering(0),
        covering(10, state="failed"),
        unrun(20, "skipped", "overlap"),
        covering(30, state="running"),
    )
    assert drawn(job_at(40), *records, now=35) == [(0, "succeeded"), (10, "failed"), (20, "passed"), (30, "running")]


def test_an_instant_that_nobody_recorded_is_a_hole() -> None:
    assert drawn(job_at(30), covering(0), covering(20), now=25) == [(0, "succeeded"), (10, "hole"), (20, "succeeded")]


def test_an_instant_that_is_still_owed_is_late_after_a_moment() -> None:
    assert drawn(job_at(10), covering(0), now=10.3) == [(0, "succeeded")]
    assert drawn(job_at(10), covering(0), now=12) == [(0, "succeeded"), (10, "late")]


def test_one_firing_for_several_instants_shows_at_the_last_of_them() -> None:
    assert drawn(job_at(40), covering(0, 30), now=35) == [
        (0, "waiting"),
        (10, "waiting"),
        (20, "waiting"),
        (30, "succeeded"),
    ]


def test_records_that_were_let_go_leave_no_hole() -> None:
    assert drawn(job_at(30), covering(0), covering(20), now=25, floor=ZERO + 10) == [(20, "succeeded")]


def test_a_paused_job_owes_nothing_new_and_shows_its_pause_afterwards() -> None:
    line, paused = JobLine(), job_at(10, state="paused")
    line.follow(job_at(10), [covering(0)], ZERO + 5)
    line.follow(paused, [covering(0)], ZERO + 35)
    assert [cell.kind for cell in line.cells(paused, [covering(0)], ZERO + 35, 0)] == ["succeeded"]
    records = [covering(0), unrun(10, "skipped", "paused", covers=covering(10, 30).covers)]
    line.follow(job_at(40), records, ZERO + 38)
    kinds = [cell.kind for cell in line.cells(job_at(40), records, ZERO + 38, 0)]
    assert kinds == ["succeeded", "passed", "passed", "passed"]


def test_a_new_timetable_begins_a_new_line() -> None:
    line = JobLine()
    line.follow(job_at(30), [covering(0), covering(10), covering(20)], ZERO + 25)
    changed = job_at(40, revision=2, timetable_rev=2)
    line.follow(changed, [covering(20)], ZERO + 45)
    assert [at - ZERO for at in line.instants] == [40]


def test_a_long_rest_costs_no_more_than_a_short_one() -> None:
    line, job = JobLine(), job_at(10)
    line.follow(job, [covering(0)], ZERO + 5)
    line.follow(job, [covering(0)], ZERO + 7 * 86_400)
    assert len(line.instants) <= KEEP


def test_several_jobs_are_one_line_in_order_of_time() -> None:
    one, other = JobLine(), JobLine()
    job = job_at(20)
    one.follow(job, [covering(0), covering(10)], ZERO + 15)
    other.follow(job, [covering(10)], ZERO + 15)
    cells = [line.cells(job, [covering(0), covering(10)], ZERO + 15, 0) for line in (one, other)]
    assert [cell.at - ZERO for cell in merged(cells)] == [0, 10, 10]
    assert [cell.at - ZERO for cell in merged(cells, 2)] == [10, 10]


def test_a_cell_names_the_node_that_let_it_go() -> None:
    line, record = JobLine(), replace(covering(0), released_by="node-b")
    line.follow(job_at(10), [record], ZERO + 5)
    assert line.cells(job_at(10), [record], ZERO + 5, 0)[0].node == "node-b"
