"""What ``ClusterScheduler`` overrides or relies on inside APScheduler 3.11 is as it was when we wrote it."""

import inspect
from typing import Any

import pytest
from apscheduler.job import Job
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.base import BaseTrigger

from cluster import ClusterScheduler

ADD_JOBSTORE = "(self, jobstore, alias='default', **jobstore_opts)"


@pytest.mark.parametrize(
    ("function", "signature"),
    [
        (BaseScheduler._configure, "(self, config)"),
        (BaseScheduler._real_add_job, "(self, job, jobstore_alias, replace_existing)"),
        (BaseScheduler._lookup_job, "(self, job_id, jobstore_alias)"),
        (BaseScheduler._create_trigger, "(self, trigger, trigger_args)"),
        (BaseScheduler._create_default_executor, "(self)"),
        (BaseScheduler._create_default_jobstore, "(self)"),
        (BaseScheduler._check_uwsgi, "(self)"),
        (BaseScheduler._process_jobs, "(self)"),
        (BaseScheduler._dispatch_event, "(self, event)"),
        (BaseScheduler.add_jobstore, ADD_JOBSTORE),
        (BaseScheduler.modify_job, "(self, job_id, jobstore=None, **changes)"),
        (BaseScheduler.reschedule_job, "(self, job_id, jobstore=None, trigger=None, **trigger_args)"),
        (BaseScheduler.resume_job, "(self, job_id, jobstore=None)"),
        (BaseScheduler.start, "(self, paused=False)"),
        (BlockingScheduler.shutdown, "(self, wait=True)"),
        (BlockingScheduler.wakeup, "(self)"),
        (BlockingScheduler._main_loop, "(self)"),
        (Job._modify, "(self, **changes)"),
        (BaseTrigger.get_next_fire_time, "(self, previous_fire_time, now)"),
        (MemoryJobStore.get_due_jobs, "(self, now)"),
    ],
)
def test_a_signature_is_as_we_know_it(function: Any, signature: str) -> None:
    assert str(inspect.signature(function)) == signature


@pytest.mark.parametrize(
    "name", [name for name, _ in inspect.getmembers(BackgroundScheduler, callable) if not name.startswith("_")]
)
def test_each_method_takes_what_stocks_takes(name: str) -> None:
    def parameters(owner: Any) -> list[Any]:
        found = inspect.signature(getattr(owner, name)).parameters.values()
        return [(one.name, one.default) for one in found if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]

    stock = BackgroundScheduler if name not in ("start", "shutdown") else BlockingScheduler
    stock = BaseScheduler if name == "start" else stock
    assert parameters(ClusterScheduler) == parameters(stock)


def test_start_and_its_loop_do_what_ours_repeats() -> None:
    start, loop = inspect.getsource(BaseScheduler.start), inspect.getsource(BlockingScheduler._main_loop)
    steps = [
        "self._check_uwsgi()",
        "self._create_default_executor()",
        "executor.start(self, alias)",
        "self._create_default_jobstore()",
        "store.start(self, alias)",
        "self._real_add_job(job, jobstore_alias, replace_existing)",
        "STATE_PAUSED if paused else STATE_RUNNING",
        "EVENT_SCHEDULER_STARTED",
        "self.wakeup()",
    ]
    places = [start.index(step) for step in steps]
    assert places == sorted(places)
    assert "self.state != STATE_STOPPED" in loop
    assert "self._main_loop" in inspect.getsource(BackgroundScheduler.start)


def test_an_added_job_gets_its_run_time_only_if_it_has_none() -> None:
    source = inspect.getsource(BaseScheduler._real_add_job)
    assert source.index('if not hasattr(job, "next_run_time")') < source.index("get_next_fire_time")
    assert source.count("get_next_fire_time") == 1
