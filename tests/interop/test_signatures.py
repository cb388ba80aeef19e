"""What we override, call or rely on inside APScheduler 3.11 is as it was when we wrote it."""

import ast
import inspect
import textwrap
from importlib.metadata import version
from typing import Any

import pytest
from apscheduler.executors.base import BaseExecutor, run_coroutine_job, run_job
from apscheduler.job import Job
from apscheduler.jobstores.base import BaseJobStore
from apscheduler.jobstores.mongodb import MongoDBJobStore as StockStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import STATE_PAUSED, STATE_RUNNING, STATE_STOPPED, BaseScheduler
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.util import datetime_to_utc_timestamp, maybe_ref

from jobstore import MongoDBJobStore, SharedMongoDBJobStore

_STORE = "database='apscheduler', collection='jobs', client=None, pickle_protocol=5, **connect_args"


def test_the_installed_release_is_one_of_3_11() -> None:
    assert version("apscheduler").startswith("3.11.")


@pytest.mark.parametrize(
    ("function", "signature"),
    [
        (BaseScheduler._process_jobs, "(self)"),
        (BaseScheduler._lookup_executor, "(self, alias)"),
        (BaseScheduler._dispatch_event, "(self, event)"),
        (BaseScheduler.remove_job, "(self, job_id, jobstore=None)"),
        (BaseExecutor.submit_job, "(self, job, run_times)"),
        (BaseExecutor._do_submit_job, "(self, job, run_times)"),
        (BaseJobStore.start, "(self, scheduler, alias)"),
        (BaseJobStore.shutdown, "(self)"),
        (BaseJobStore.lookup_job, "(self, job_id)"),
        (BaseJobStore.get_due_jobs, "(self, now)"),
        (BaseJobStore.get_next_run_time, "(self)"),
        (BaseJobStore.get_all_jobs, "(self)"),
        (BaseJobStore.add_job, "(self, job)"),
        (BaseJobStore.update_job, "(self, job)"),
        (BaseJobStore.remove_job, "(self, job_id)"),
        (BaseJobStore.remove_all_jobs, "(self)"),
        (Job._get_run_times, "(self, now)"),
        (Job._modify, "(self, **changes)"),
        (Job.__getstate__, "(self)"),
        (Job.__setstate__, "(self, state)"),
        (run_job, "(job, jobstore_alias, run_times, logger_name)"),
        (run_coroutine_job, "(job, jobstore_alias, run_times, logger_name)"),
        (maybe_ref, "(ref)"),
        (datetime_to_utc_timestamp, "(timeval)"),
        (StockStore.__init__, f"(self, {_STORE})"),
    ],
)
def test_a_signature_is_as_we_know_it(function: Any, signature: str) -> None:
    assert str(inspect.signature(function)) == signature


@pytest.mark.parametrize("ours", [MongoDBJobStore, SharedMongoDBJobStore])
def test_our_stores_take_what_stock_takes(ours: Any) -> None:
    parameters = inspect.signature(ours.__init__).parameters
    stock = inspect.signature(StockStore.__init__).parameters
    assert [(p.name, p.kind, p.default) for p in parameters.values()] == [
        (p.name, p.kind, p.default) for p in stock.values()
    ]


def test_a_job_has_the_slots_we_set() -> None:
    assert {"_scheduler", "_jobstore_alias", "next_run_time", "misfire_grace_time", "executor"} <= set(Job.__slots__)


def test_scheduler_states_are_told_apart() -> None:
    assert len({STATE_STOPPED, STATE_RUNNING, STATE_PAUSED}) == 3


@pytest.mark.parametrize("loop", [BlockingScheduler._main_loop, inspect.unwrap(AsyncIOScheduler.wakeup)])
def test_every_loop_goes_through_the_instances_process_jobs(loop: Any) -> None:
    assert "self._process_jobs()" in inspect.getsource(loop)
    assert BackgroundScheduler._main_loop is BlockingScheduler._main_loop


@pytest.mark.parametrize("function", [run_job, run_coroutine_job])
def test_run_times_are_taken_one_by_one_before_misfire_and_call(function: Any) -> None:
    body = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    uses = [node for node in ast.walk(body) if isinstance(node, ast.Name) and node.id == "run_times"]
    loops = [node for node in ast.walk(body) if isinstance(node, ast.For)]
    assert len(uses) == 1, "run_times is used once"
    assert isinstance(loops[0].iter, ast.Name), "and that is by the loop"
    assert loops[0].iter.id == "run_times"
    assert "job.func(" in ast.unparse(loops[0])
    assert "misfire_grace_time" in ast.unparse(loops[0])


def test_the_loop_submits_before_it_writes_and_calls_the_store_as_we_expect() -> None:
    source = inspect.getsource(BaseScheduler._process_jobs)
    steps = [
        "jobstore.get_due_jobs(now)",
        "self._lookup_executor(job.executor)",
        "job._get_run_times(now)",
        "executor.submit_job(job, run_times)",
        "jobstore.update_job(job)",
        "self.remove_job(job.id, jobstore_alias)",
        "jobstore.get_next_run_time()",
    ]
    places = [source.rindex(step) for step in steps]
    assert places == sorted(places)
