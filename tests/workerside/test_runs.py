"""A published firing, run by real Celery workers: begun once, called with its context, finished once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jobstore.clock import from_posix
from jobstore.firing import Firing
from tests.support.waiting import eventually
from tests.workerside.bench import Bench
from workers import wire
from workers.sender import open_sender

pytestmark = pytest.mark.celery


def lines(bench: Bench, *parts: str) -> list[str]:
    return [line for line in bench.output().splitlines() if all(part in line for part in parts)]


def await_dropped(bench: Bench, firing: str, reason: str) -> None:
    eventually(lambda: lines(bench, "MessageDropped", firing, f"reason={reason}"), that=bench.output())


@pytest.mark.parametrize(
    ("kind", "name"),
    [("task", "shop.echo"), ("function", "echo"), ("reference", "shop:echo")],  # the last as an adopted job names it
)
def test_the_target_is_called_with_its_arguments_and_its_firing(every_pool: Bench, kind: str, name: str):
    id_ = every_pool.fire(name, 1, "two", kind=kind, job=f"echo-{kind}", three=[3.5, None])
    firing = every_pool.ended(id_)
    assert (firing.state, firing.reason, firing.error) == ("succeeded", "", None)
    assert (firing.result["args"], firing.result["kwargs"]) == ([1, "two"], {"three": [3.5, None]})
    nominal = from_posix(firing.nominal)
    seen = firing.result["firing"]
    assert seen.pop("main_thread") == ("threads" not in firing.worker)
    assert firing.worker.startswith(f"{every_pool_name(firing)}-{seen.pop('pid')}-")
    last = nominal + timedelta(seconds=60)
    assert seen == {
        "tenant": "acme",
        "job": f"echo-{kind}",
        "id": id_,
        "kind": "scheduled",
        "nominal": last,
        "effective": last,
        "covers": {"start": nominal, "through": last, "count": 2, "exact": True},
        "attempt": 1,
        "fence": 41,
        "cancelled": False,
        "previous": None,
    }
    if kind == "task":
        assert firing.result["request"] == {"id": f"{id_}.1", "retries": 0, "direct": False}
    assert [(one["attempt"], one["state"], one["worker"]) for one in firing.attempts] == [
        (1, "succeeded", firing.worker)
    ]


def waits(firing: Firing) -> object:
    """How many seconds a firing waits for its next attempt, about."""
    return pytest.approx((firing.attend_at - firing.attempts[-1]["at"]).total_seconds(), abs=0.5)


def every_pool_name(firing: Firing) -> str:
    return str(firing.worker).partition("-")[0]


def test_a_message_delivered_twice_begins_once(every_pool: Bench):
    message = every_pool.record("shop.nothing")
    every_pool.sender.send([message, message, message])
    firing = every_pool.ended(message.firing)
    eventually(lambda: len(lines(every_pool, "MessageDropped", message.firing, "reason=duplicate")) == 2)
    assert [one["attempt"] for one in firing.attempts] == [1]
    assert every_pool.firing(message.firing) == firing


def test_a_forged_message_is_dropped(prefork: Bench):
    message = prefork.record("shop.nothing")
    forger = open_sender(prefork.broker_url, b"not the key of the cluster......")
    forger.send([message])
    await_dropped(prefork, message.firing, "forged")
    forger.close()
    assert prefork.firing(message.firing).state == "dispatched"


def test_a_message_of_another_epoch_is_dropped(prefork: Bench):
    message = prefork.record("shop.nothing")
    prefork.sender.send([replace(message, epoch=2)])
    await_dropped(prefork, message.firing, "stale")
    old = prefork.record("shop.nothing", epoch=2)  # a record that no longer agrees with its tenant
    prefork.sender.send([replace(old, epoch=1)])
    await_dropped(prefork, old.firing, "duplicate")
    assert {prefork.firing(one.firing).state for one in (message, old)} == {"dispatched"}


def test_nothing_begins_for_a_tenant_that_was_suspended(prefork: Bench):
    tenant = prefork.add_tenant("globex")
    before = prefork.record("shop.nothing", tenant=tenant)
    suspended = replace(tenant, state="suspended", epoch=2, revision=2)
    assert prefork.store.tenants.replace(suspended, revision=1)
    after = prefork.record("shop.nothing", tenant=tenant, epoch=2)
    prefork.sender.send([after])
    await_dropped(prefork, after.firing, "suspended")
    prefork.sender.send([before])
    await_dropped(prefork, before.firing, "stale")


def test_a_message_about_an_unknown_tenant_or_attempt_is_dropped(prefork: Bench):
    message = prefork.record("shop.nothing")
    prefork.sender.send([replace(message, attempt=2)])
    await_dropped(prefork, message.firing, "duplicate")
    stranger = wire.Message(uid="initech-a1b2c3", firing="initech-a1b2c3:x", attempt=1, epoch=1, pool=prefork.pool)
    prefork.sender.send([stranger])
    await_dropped(prefork, stranger.firing, "stale")


def test_what_a_target_raises_is_its_outcome(every_pool: Bench):
    firing = every_pool.ended(every_pool.fire("shop.boom", "the shop burns"))
    assert (firing.state, firing.reason) == ("failed", "raised")
    lines_ = firing.error.splitlines()
    assert lines_[-1] == "ValueError: the shop burns"
    assert lines_[1].endswith("in boom"), "the traceback begins with the user's own code"


def test_a_failure_is_tried_again_as_the_job_says_and_then_no_more(prefork: Bench):
    id_ = prefork.fire("shop.boom", retry={"max_attempts": 2, "delay_s": 90.0})
    first = prefork.ended(id_)
    assert (first.state, first.attempt, first.wait, first.fence) == ("pending", 2, "retry", None)
    (ended,) = first.attempts
    assert (ended["state"], ended["reason"]) == ("failed", "raised")
    assert ended["error"].endswith("ValueError: the shop burns")
    assert waits(first) == 90
    prefork.again(id_, 2)
    last = prefork.await_state(id_, "failed")
    assert [(one["attempt"], one["state"]) for one in last.attempts] == [(1, "failed"), (2, "failed")]


def test_the_second_attempt_sees_its_number_and_a_greater_fence(prefork: Bench):
    id_ = prefork.fire("shop.flaky", 1)
    assert prefork.ended(id_).attempt == 2
    prefork.again(id_, 2)
    result = prefork.await_state(id_, "succeeded").result
    assert (result["firing"]["attempt"], result["firing"]["fence"]) == (2, 42)
    assert result["request"] == {"id": f"{id_}.2", "retries": 1, "direct": False}


def test_running_code_may_ask_for_the_last_success_of_its_job(prefork: Bench):
    before = prefork.ended(prefork.fire("shop.nothing", job="daily", nominal=1_795_600_000.0))
    prefork.ended(prefork.fire("shop.boom", job="daily", nominal=1_795_686_400.0))
    after = prefork.ended(prefork.fire("shop.echo", job="daily", nominal=1_795_772_800.0))
    assert after.result["firing"]["previous"] == before.instant


@pytest.mark.parametrize(
    ("name", "options", "delay"),
    [
        ("shop.retrying", {"countdown": 45, "max_retries": 3}, 45),
        ("shop.automatic", {}, 7),
        ("shop.rejected", {"requeue": True}, 30),  # the job's own delay
    ],
)
def test_a_tasks_own_retry_becomes_an_attempt_in_the_ledger(prefork: Bench, name: str, options: dict, delay: float):
    firing = prefork.ended(prefork.fire(name, **options))
    assert (firing.state, firing.attempt) == ("pending", 2)
    (ended,) = firing.attempts
    assert ended["reason"] == "retry_asked"
    assert waits(firing) == delay
    assert not lines(prefork, "shop.", "received"), "nothing but our own message may go through the broker"


def test_a_task_that_has_used_up_its_own_retries_fails(prefork: Bench):
    id_ = prefork.fire("shop.retrying", countdown=0, max_retries=1)
    assert prefork.ended(id_).attempt == 2
    prefork.again(id_, 2)
    last = prefork.await_state(id_, "failed")
    assert last.reason == "raised"
    assert "OSError: not yet" in last.error


def test_a_function_may_ask_for_a_retry_with_a_delay_of_its_own(prefork: Bench):
    firing = prefork.ended(prefork.fire("ask_again", 12.5, kind="function"))
    assert waits(firing) == 12.5
    by_job = prefork.ended(prefork.fire("ask_again", None, kind="function", retry={"delay_s": 3.0}))
    assert waits(by_job) == 3


def test_a_retry_with_other_arguments_is_refused_aloud(prefork: Bench):
    firing = prefork.ended(prefork.fire("shop.other_arguments", page=1))
    assert (firing.state, firing.reason) == ("failed", "raised")
    assert "a firing keeps the arguments in its record" in firing.error


@pytest.mark.parametrize(
    ("name", "options", "state", "reason"),
    [
        ("shop.ignored", {}, "succeeded", "ignored"),
        ("shop.rejected", {"requeue": False}, "failed", "raised"),
        ("shop.leave", {"code": 3}, "failed", "exited"),
        ("shop.leave", {"code": 0}, "failed", "exited"),
    ],
)
def test_the_other_ways_to_end(prefork: Bench, name: str, options: dict, state: str, reason: str):
    firing = prefork.ended(prefork.fire(name, **options))
    assert (firing.state, firing.reason) == (state, reason)


@pytest.mark.parametrize(("kind", "name"), [("task", "shop.ecko"), ("function", "ecko"), ("task", "horarium.run")])
def test_an_unknown_target_fails_and_its_job_is_set_aside_with_near_matches(prefork: Bench, kind: str, name: str):
    job = f"typo-{kind}-{name.replace('.', '-')}"
    incarnation = prefork.add_job(job, name, kind)
    firing = prefork.ended(prefork.fire(name, kind=kind, job=job, incarnation=incarnation))
    assert (firing.state, firing.reason) == ("failed", "unknown_target")
    document = eventually(
        lambda: (found := prefork.store.jobs(prefork.tenant.place).fetch(job))["state"] == "quarantined" and found
    )
    assert document["quarantine"]["reason"] == firing.error
    if name.endswith("ecko"):
        assert f"did you mean {name.replace('ecko', 'echo')}" in firing.error
    assert f"no {kind} named {name!r}" in firing.error


def test_a_job_that_was_given_another_target_meanwhile_is_not_set_aside(prefork: Bench):
    incarnation = prefork.add_job("mended", "shop.echo")
    jobs = prefork.store.jobs(prefork.tenant.place)
    assert jobs.change(jobs.get("mended"), None, {})
    firing = prefork.ended(prefork.fire("shop.ecko", job="mended", incarnation=incarnation))
    assert firing.reason == "unknown_target"
    prefork.ended(prefork.fire("shop.nothing"))
    assert jobs.fetch("mended")["state"] == "active"


def test_a_result_that_cannot_be_kept_is_noted_and_the_run_has_succeeded(prefork: Bench):
    fits = prefork.ended(prefork.fire("shop.large", 16_000))
    assert (fits.reason, len(fits.result)) == ("", 16_000)
    large = prefork.ended(prefork.fire("shop.large", 20_000))
    assert (large.state, large.reason) == ("succeeded", "result_omitted")
    assert large.result == {"omitted": "the result takes 20,005 bytes; at most 16,384 are kept"}
    odd = prefork.ended(prefork.fire("shop.odd"))
    assert (odd.state, odd.reason) == ("succeeded", "result_omitted")
    assert "a object, which cannot be stored" in odd.result["omitted"]


def test_a_run_over_its_time_limit_is_stopped(every_pool: Bench):
    firing = every_pool.ended(every_pool.fire("shop.slow", 1.5, time_limit_s=0.3))
    assert (firing.state, firing.reason) == ("failed", "time_limit")
    assert firing.error.endswith("SoftTimeLimitExceeded()") or "SoftTimeLimitExceeded" in firing.error
    assert every_pool.ended(every_pool.fire("shop.nothing", time_limit_s=5.0)).state == "succeeded"


def test_code_may_tidy_up_at_its_limit(prefork: Bench):
    firing = prefork.ended(prefork.fire("shop.heeds_limit", time_limit_s=0.3))
    assert (firing.state, firing.result) == ("succeeded", "tidied up")
