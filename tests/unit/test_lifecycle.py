"""The state tables: what they allow, and that nothing else moves a job or a firing."""

from jobstore.lifecycle import FINAL, FIRINGS, JOBS, OPEN, after, before, job_before


def test_every_firing_state_is_either_open_or_final():
    named = {state for sources, target in FIRINGS.values() for state in (*sources, target)}
    assert named == set(OPEN) | FINAL


def test_nothing_leaves_a_final_state():
    leaving = {state for sources, _ in FIRINGS.values() for state in sources}
    assert leaving.isdisjoint(FINAL)


def test_a_worker_finds_dispatched_never_pending():
    assert before("begin") == ["dispatched"]
    assert after("mark") == "dispatched"


def test_every_final_state_can_be_reached_from_pending():
    reached = {"pending"}
    for _ in FIRINGS:
        reached |= {target for sources, target in FIRINGS.values() if reached & set(sources)}
    assert reached >= FINAL


def test_a_document_without_a_state_counts_as_active():
    assert None in job_before("complete")
    assert None not in job_before("resume")


def test_a_deleting_job_never_comes_back():
    assert all("deleting" not in sources for sources, _ in JOBS.values())
