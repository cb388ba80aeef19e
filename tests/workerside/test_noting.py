"""Log lines, progress and markers from code that runs in real workers."""

from pathlib import Path

import pytest

from tests.support.waiting import eventually
from tests.workerside.bench import Bench

pytestmark = pytest.mark.celery


def test_what_running_code_says_is_seen_while_it_runs_and_kept_when_it_ends(every_pool: Bench, tmp_path: Path):
    id_ = every_pool.fire("shop.talks", str(tmp_path))
    during = eventually(lambda: (found := every_pool.firing(id_)).noted.lines and found)
    assert during.state == "running"
    assert [line.text for line in during.noted.lines] == ["line 1", "line 2"]
    assert (during.noted.progress.fraction, during.noted.progress.text) == (0.5, "half")
    (tmp_path / "go").touch()
    after = every_pool.ended(id_)
    assert [line.text for line in after.noted.lines] == ["line 1", "line 2", "the end"]
    assert after.noted.progress.fraction == 1.0


def test_a_marker_is_set_by_one_firing_of_a_job_and_by_one_of_its_tenant(every_pool: Bench):
    def fire(job: str, **options: str) -> bool:
        return bool(every_pool.ended(every_pool.fire("shop.first", job=job, **options)).result)

    assert [fire("a", key="k"), fire("a", key="k"), fire("b", key="k")] == [True, False, True]
    assert [fire("a", key="k", scope="tenant"), fire("b", key="k", scope="tenant")] == [True, False]
    set_by = every_pool.fire("shop.first", job="a", key="other")
    assert every_pool.ended(set_by).noted.once == ("other",)


def test_a_short_run_and_one_that_fails_keep_what_they_said(prefork: Bench):
    firing = prefork.ended(prefork.fire("shop.talks_and_fails"))
    assert (firing.state, [line.text for line in firing.noted.lines]) == ("failed", ["so far, so good"])
