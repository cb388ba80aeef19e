"""What a claimed job owes: tables and properties of the pure planner."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.planner import Slots, decide, first_head, plan_head
from jobstore.clock import to_posix
from jobstore.job import Job, parse_spec
from jobstore.timetable import Timetable

START = datetime(2026, 11, 25, 12, tzinfo=UTC)
ZERO = to_posix(START)


FREE = Slots(0)


def a_job(seconds: float = 10.0, **fields) -> Job:
    timetable = Timetable.from_spec({"every": seconds, "start": START.isoformat()}, now=START)
    spec = parse_spec({"trigger": timetable.to_document(), "target": {"name": "t"}, **fields})
    return Job(
        uid="acme-x",
        id="job",
        spec=spec,
        timetable=timetable,
        state="active",
        incarnation="inc",
        revision=1,
        timetable_rev=1,
        stop_rev=0,
        nominal=ZERO,
        decided_through=None,
        next_run_time=ZERO,
        claim_token=1,
        fence=0,
        slots=(),
        owed=None,
        claimed_at=START,
        created_at=START,
    )


@pytest.mark.parametrize(
    ("grace", "late", "live", "decision"),
    [
        (None, 86_400, 0, ("run", "", "skip")),
        (60.0, 60, 0, ("run", "", "skip")),
        (60.0, 60.001, 0, ("missed", "misfire_grace", "skip")),
        (None, 0, 1, ("skipped", "overlap", "skip")),
        (60.0, 61, 1, ("missed", "misfire_grace", "skip")),
    ],
)
def test_a_firing_is_run_missed_or_skipped(grace, late, live, decision):
    job = a_job(misfire_grace_s=grace)
    assert decide(job, ZERO, ZERO + late, Slots(live)) == decision


def test_max_instances_slots_may_be_live():
    job = a_job(max_instances=3)
    assert decide(job, ZERO, ZERO, Slots(2))[0] == "run"
    assert decide(job, ZERO, ZERO, Slots(3))[0] == "skipped"


def test_the_record_covers_what_was_missed_and_names_the_instant_after_it():
    draft = plan_head(a_job(), ZERO, ZERO + 35, slots=FREE, epoch=1)
    assert (draft.nominal, draft.covers.start, draft.covers.through, draft.covers.count) == (ZERO, ZERO, ZERO + 30, 4)
    assert draft.plan_next == ZERO + 40


def test_a_nominal_that_was_set_back_is_not_decided_again():
    job = replace(a_job(), nominal=ZERO, decided_through=ZERO + 20)
    assert first_head(job) == ZERO + 30
    assert first_head(replace(job, nominal=ZERO + 50)) == ZERO + 50
    assert first_head(replace(job, nominal=None)) is None


def test_buffer_one_lets_one_wait_and_skips_the_next():
    job = a_job(overlap="buffer_one")
    assert decide(job, ZERO, ZERO, Slots(1)) == ("run", "", "wait")
    assert decide(job, ZERO, ZERO, Slots(1, buffered=True)) == ("skipped", "buffer_full", "skip")
    assert plan_head(job, ZERO, ZERO, slots=Slots(1), epoch=1).waits


def chain(job: Job, now: float) -> list:
    drafts, head = [], ZERO
    while head is not None and head <= now:
        drafts.append(plan_head(job, head, now, slots=FREE, epoch=1))
        head = drafts[-1].plan_next
    return drafts


def ranges(drafts) -> list[tuple[float, float, int, str]]:
    return [(d.covers.start - ZERO, d.covers.through - ZERO, d.covers.count, d.decision) for d in drafts]


def test_catch_up_all_makes_one_firing_of_each_and_none_of_them_is_skipped():
    drafts = chain(a_job(catch_up="all"), ZERO + 35)
    assert ranges(drafts) == [(n * 10, n * 10, 1, "run") for n in range(4)]
    assert {draft.on_full for draft in drafts} == {"wait"}


def test_catch_up_all_counts_what_is_older_than_the_newest_few():
    drafts = chain(a_job(catch_up="all", catch_up_limit=3), ZERO + 7 * 86_400)
    assert ranges(drafts)[0] == (0, 7 * 86_400 - 30, 7 * 8640 - 2, "missed")
    assert [draft.decision for draft in drafts[1:]] == ["run"] * 3
    assert drafts[-1].covers.through == ZERO + 7 * 86_400


def test_catch_up_none_runs_only_what_is_on_time():
    assert ranges(chain(a_job(catch_up="none"), ZERO + 35)) == [(0, 20, 3, "missed"), (30, 30, 1, "run")]
    late = chain(a_job(3600, catch_up="none"), ZERO + 7261)
    assert ranges(late) == [(0, 7200, 3, "missed")]


@pytest.mark.parametrize("policy", ["latest", "all", "none"])
@given(
    seconds=st.integers(1, 100_000).map(lambda ms: ms / 1000),
    late=st.lists(st.floats(0, 5000), min_size=1, max_size=6).map(sorted),
)
def test_whenever_planners_look_each_instant_is_covered_once(policy, seconds, late):
    """Planners that come at any times, one after another, cover every due instant and none twice."""
    job, covered, head = a_job(seconds, catch_up=policy, catch_up_limit=5), [], ZERO
    for offset in late:
        now = ZERO + offset
        while head is not None and head <= now:
            draft = plan_head(job, head, now, slots=FREE, epoch=1)
            covered.append(draft.covers)
            head = draft.plan_next
    ends = [(one.start, one.through) for one in covered]
    step = timedelta(milliseconds=round(seconds * 1000)).total_seconds()
    for (_, through), (start, _) in pairwise(ends):
        assert start == pytest.approx(through + step, abs=1e-5)
    last = ends[-1][1]
    assert last <= ZERO + late[-1] < last + step + 1e-5
    assert sum(one.count for one in covered) == round((last - ZERO) / step) + 1
