"""The end of a run: numbers, promise, exit code, text and JSON."""

import json
from dataclasses import replace
from datetime import UTC
from typing import Any

import pytest

from cluster.dev import report
from cluster.dev.options import DevOptions, read_for
from cluster.dev.signs import UNICODE
from cluster.dev.stack import Step
from cluster.dev.summary import Material, Summary, summarise
from cluster.dev.takeover import Death, Takeover
from cluster.dev.tally import lateness, total
from jobstore.errors import InvalidInput
from jobstore.firing import Firing
from jobstore.job import Job, Owed
from jobstore.tenant import Place, Tenant
from tests.unit.devmode.scenes import ZERO, at, covering, edited, job_at, unrun

TENANT = Tenant(id="acme", place=Place(uid="acme-x", database="d", jobs="j", firings="f"), created_at=at(-60))
WHOLE = (covering(0), covering(10), covering(20), covering(30))


def summary(job: Job | None, *firings: Firing, **fields: Any) -> Summary:
    known: dict[str, Any] = {
        "tenants": [TENANT],
        "jobs": [] if job is None else [("acme", job)],
        "firings": firings,
        "begun": at(-10),
        "up": at(-1),
        "ended": at(39),
    }
    return summarise(Material(**(known | fields)), seconds=40.0, takeovers=[], steps=[Step("mongod", "", 2.5)])


def test_a_whole_run_is_good() -> None:
    found = summary(job_at(40), *WHOLE)
    assert (found.lost, found.twice, found.exit_code, found.totals.fired) == (0, 0, 0, 4)
    assert found.begun is not None
    assert (found.begun.count, found.begun.p50, found.begun.p99) == (4, 30.0, 30.0)


def test_nothing_fired_is_no_success() -> None:
    assert summary(None).exit_code == 1
    assert report.text(summary(None), UNICODE, UTC).endswith("lost 0, twice 0; nothing fired")


@pytest.mark.parametrize(
    ("firings", "lost", "twice"),
    [
        (WHOLE[1:], 1, 0),
        ((*WHOLE[:1], *WHOLE[2:]), 1, 0),
        (WHOLE[:3], 1, 0),
        ((*WHOLE, covering(30, id="acme-x:other")), 0, 1),
        ((*WHOLE[:3], replace(WHOLE[3], started_at=at(29))), 0, 1),
    ],
)
def test_a_broken_promise_makes_it_fail(firings: tuple[Firing, ...], lost: int, twice: int) -> None:
    broken = summary(job_at(40), *firings)
    assert (broken.lost, broken.twice, broken.exit_code) == (lost, twice, 1)
    assert (broken.tenants[0].lost, broken.tenants[0].twice) == (lost, twice)


def test_what_was_there_before_the_run_need_not_be_whole() -> None:
    job = job_at(40, created_at=at(-100_000))
    assert summary(job, *WHOLE[1:]).lost == 0
    assert summary(job, WHOLE[1], WHOLE[3]).lost == 1


def test_instants_that_an_edit_took_away_and_nobody_has_settled_are_owed() -> None:
    owing = job_at(40, owed=Owed(start=ZERO + 20, through=ZERO + 30, admitted=()))
    assert summary(owing, *WHOLE[:2]).lost == 0
    assert summary(job_at(40), *WHOLE[:2]).lost == 1


def test_a_new_timetable_is_not_held_against_the_records_of_the_old_one() -> None:
    job = job_at(40, revision=2, timetable_rev=2, created_at=at(-5))
    old = [covering(1), covering(4)]
    taken = unrun(7, "superseded", "timetable_changed", snapshot=edited(job, 2))
    new = [covering(20, snapshot=edited(job, 2)), covering(30, snapshot=edited(job, 2))]
    assert summary(job, *old, taken, *new).findings == ()
    assert summary(job, *old, taken, new[0]).lost == 1


def test_lines_that_tasks_wrote_are_held_against_the_ledger() -> None:
    line = {"firing": WHOLE[0].id, "attempt": 1, "event": "begin"}
    rest = [{"firing": firing.id, "attempt": 1, "event": "begin"} for firing in WHOLE[1:]]
    assert summary(job_at(40), *WHOLE, lines=[line, *rest]).findings == ()
    assert summary(job_at(40), *WHOLE, lines=[line, line, *rest]).twice == 1
    assert summary(job_at(40), *WHOLE, lines=rest).lost == 1
    assert summary(job_at(40), *WHOLE, lines=[line | {"firing": "other:1"}]).findings == ()


def test_what_was_due_before_everything_was_up_is_caught_up_and_not_late() -> None:
    found = summary(job_at(40), covering(0, 20, late=4.0), covering(30), begun=at(22), up=at(25))
    assert [(one.tenant, one.job, one.count, one.state) for one in found.caught_up] == [("acme", "job", 3, "succeeded")]
    assert found.begun is not None
    assert found.begun.count == 1


def test_firings_of_an_earlier_run_are_not_counted_again() -> None:
    assert summary(job_at(40), *WHOLE, begun=at(15), up=at(16)).totals.fired == 2


def test_the_text_says_what_happened() -> None:
    death = Takeover(death=Death("node-a", at(15)), by="node-b", after_s=2.1, latest_s=2.1, settled=True)
    firings = (*WHOLE[:2], covering(20, state="failed", reason="raised"), unrun(30, "skipped", "overlap"))
    found = replace(summary(job_at(40), *firings), takeovers=(death,))
    assert report.text(found, UNICODE, UTC).splitlines() == [
        "",
        "Summary of 40.0 s",
        "",
        "  fired      3",
        "  succeeded  2",
        "  failed     1  (raised 1)",
        "  skipped    1  (overlap 1)",
        "  released   p50 20 ms, p99 20 ms late",
        "  begun      p50 30 ms, p99 30 ms late",
        "",
        "  tenant   fired      ok  failed  skipped   p50 ms   p99 ms  lost  twice",
        "  acme         3       2       1        1       30       30     0      0",
        "",
        "  12:00:15 node-a killed; node-b took over after 2.1 s; lost 0, twice 0",
        "",
        "  lost 0, twice 0  (from the jobs and the ledger)",
    ]


def test_the_json_says_the_same() -> None:
    found = json.loads(json.dumps(report.document(summary(job_at(40), *WHOLE[1:]))))
    assert found["exit_code"] == 1
    assert found["lost"] == 1
    assert found["tenants"]["acme"]["lost"] == 1
    assert found["outcomes"] == {"succeeded": 3}
    assert found["start"] == {"mongod": 2.5}
    assert found["findings"][0]["job"] == "acme/job"


def test_ranks_are_those_of_the_values_themselves() -> None:
    found = lateness([*range(1, 101), None])
    assert found is not None
    assert (found.count, found.p50, found.p99) == (100, 50, 99)
    assert lateness([None]) is None


def test_totals_add_up() -> None:
    one, other = total(WHOLE[:2]), total([unrun(20, "skipped", "overlap"), covering(30, state="running")])
    both = one + other
    assert (both.fired, both.running, both.open) == (3, 1, 1)
    assert both.outcomes == {"succeeded": 2, "skipped": 1}
    assert both.reasons_of("skipped") == [("overlap", 1)]
    assert both.by_node == {"node-a": 3}
    assert both.running_at == {"worker-1": 1}


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("45", 45), ("2m", 120), ("1h30m", 5400), ("0.5s", 0.5)])
def test_a_length_is_read(text: str, seconds: float) -> None:
    assert read_for(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "-3s", "soon", "30 parsecs", "9999h", "s", "1m2h"])
def test_what_is_no_length_is_refused_with_what_is_one(text: str) -> None:
    with pytest.raises(InvalidInput, match="write 30s, 2m or 1h30m"):
        read_for(text)


def test_options_list_what_is_wrong_with_them(tmp_path: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        DevOptions(for_s=-1, json_file=tmp_path / "none" / "x.json")
    assert len(refused.value.faults) == 2
