"""What a worker runs for a job of an adopted collection: only what its application made known."""

from datetime import UTC, datetime

import pytest
from celery import Celery

from jobstore.clock import SystemClock
from jobstore.firing import Covers, Firing, Snapshot
from workers.outcome import UnknownTarget
from workers.registry import Registry
from workers.targets import ProcessTargets

APP = Celery("adopted", broker="memory://", set_as_current=False)
FUNCTIONS = Registry()


@APP.task(name="proj.report")
def report(kind: str) -> str:
    return f"reported {kind}"


@FUNCTIONS.register("proj:tidy")
def tidy(kind: str) -> str:
    return f"tidied {kind}"


def run(reference: str) -> object:
    firing = Firing(
        id="acme-x:a", uid="acme-x", job="tick", incarnation="i", kind="scheduled", nominal=0.0,
        covers=Covers(start=0.0, through=0.0, count=1), plan_next=None, decision="run", reason="", state="running",
        attempt=1, fence=1, wait="run", attend_at=None, epoch=1, publishes=1,
        snapshot=Snapshot(
            revision=1, target={"kind": "reference", "name": reference}, args=("daily",), kwargs={}, pool="default",
            time_limit_s=None, retry={},
        ),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    return ProcessTargets(APP, FUNCTIONS, SystemClock(), "here", lambda: b"k" * 32).resolve(firing)()


def test_a_reference_runs_the_task_or_function_that_goes_by_its_name():
    assert run("proj:report") == "reported daily"
    assert run("proj:tidy") == "tidied daily"


@pytest.mark.parametrize(
    "reference", ["os:system", "builtins:eval", "subprocess:run", "celery:backend_cleanup", "horarium:run"]
)
def test_nothing_else_is_imported(reference: str):
    with pytest.raises(UnknownTarget, match="make it known to the workers"):
        run(reference)
