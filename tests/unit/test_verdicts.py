"""What becomes of an open firing, row by row."""

from dataclasses import replace

import pytest

from cluster.verdicts import LEAVE, Verdict, judge_dispatched, judge_pending
from jobstore.edits import snapshot_of
from jobstore.firing import Covers, Firing
from jobstore.job import Job, Owed
from tests.unit.test_planner import START, ZERO, a_job
from tests.unit.test_turns import a_tenant

TENANT = a_tenant("acme-x")


def a_firing(**fields) -> Firing:
    job = a_job()
    made = Firing(
        id="acme-x:1",
        uid="acme-x",
        job="job",
        incarnation="inc",
        kind="scheduled",
        nominal=ZERO,
        covers=Covers(start=ZERO, through=ZERO, count=1),
        plan_next=ZERO + 10,
        decision="run",
        reason="",
        state="pending",
        attempt=1,
        fence=None,
        wait="advance",
        attend_at=START,
        epoch=1,
        publishes=0,
        snapshot=snapshot_of(job),
        created_at=START,
    )
    return replace(made, **fields)


def moved_on(**fields) -> Job:
    return replace(a_job(), nominal=ZERO + 10, decided_through=ZERO, **fields)


def cancelled(reason: str) -> Verdict:
    return Verdict("close", "cancel", reason)


@pytest.mark.parametrize(
    ("firing", "job", "verdict"),
    [
        (a_firing(), moved_on(), Verdict("admit")),
        (a_firing(), a_job(), LEAVE),
        (a_firing(), None, cancelled("job_gone")),
        (a_firing(), moved_on(incarnation="other"), cancelled("job_gone")),
        (a_firing(), moved_on(state="deleting"), cancelled("job_deleted")),
        (a_firing(), moved_on(stop_rev=2, revision=2), cancelled("job_stopped")),
        (a_firing(epoch=0), moved_on(), cancelled("tenant_stopped")),
        (a_firing(), replace(moved_on(state="completed"), nominal=None), Verdict("admit")),
        (a_firing(), moved_on(state="quarantined"), LEAVE),
        (a_firing(), moved_on(timetable_rev=2, revision=2), Verdict("close", "supersede", "timetable_changed")),
        (a_firing(), moved_on(timetable_rev=2, revision=2, slots=("acme-x:1",)), Verdict("admit")),
        (a_firing(), moved_on(revision=2), Verdict("admit")),
        (a_firing(decision="missed", reason="misfire_grace"), moved_on(), Verdict("close", "miss", "misfire_grace")),
        (a_firing(decision="skipped", reason="overlap"), moved_on(), Verdict("close", "skip", "overlap")),
        (
            a_firing(),
            moved_on(owed=Owed(start=ZERO, through=ZERO + 5, admitted=())),
            LEAVE,
        ),
        (a_firing(kind="manual"), a_job(), Verdict("admit")),
        (a_firing(attempt=2, wait="retry"), a_job(), Verdict("admit")),
        (a_firing(kind="manual"), replace(a_job(), stop_rev=1), Verdict("admit")),
    ],
)
def test_a_pending_firing_is_judged_by_what_its_job_says(firing, job, verdict):
    assert judge_pending(firing, job, TENANT) == verdict


def test_a_firing_whose_job_cannot_be_read_is_left():
    assert judge_pending(a_firing(), None, TENANT, readable=False) == LEAVE


def test_a_suspended_tenant_releases_nothing():
    assert judge_pending(a_firing(), moved_on(), replace(TENANT, state="suspended")) == LEAVE
    assert judge_dispatched(a_firing(state="dispatched"), moved_on(), replace(TENANT, state="suspended")) == LEAVE


def test_what_was_never_begun_is_published_again_unless_it_was_stopped():
    lost = a_firing(state="dispatched", fence=1)
    assert judge_dispatched(lost, moved_on(), TENANT) == Verdict("publish")
    assert judge_dispatched(lost, moved_on(stop_rev=2), TENANT) == cancelled("job_stopped")
    assert judge_dispatched(lost, None, TENANT, readable=False) == Verdict("publish")
