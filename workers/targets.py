"""Finding and calling what a job names: a task of the user's Celery application, or a registered function.

A task is called in this process, traced by Celery's own code, so that its signals, its handlers and ``self.request``
are what its author expects.  Only what would publish a message is replaced: a retry becomes an attempt in the ledger.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final

from celery import Celery, states
from celery.app.trace import build_tracer
from celery.exceptions import Ignore, Reject
from celery.exceptions import Retry as CeleryRetry

from jobstore.clock import Clock
from jobstore.firing import Firing
from workers import references
from workers.outcome import Ignored, Retry, UnknownTarget
from workers.registry import Registry

# Not targets: what runs firings, and Celery's own helpers.
_RESERVED: Final = ("horarium.", "celery.")


class ChangedArguments(Exception):
    """A task asked to be retried with other arguments; a firing keeps those in its record."""


@dataclass(slots=True)
class ProcessTargets:
    """The targets of one worker process."""

    app: Celery
    functions: Registry
    clock: Clock
    hostname: str
    message_key: Callable[[], bytes] | None = None
    _tracers: dict[str, Callable[..., Any]] = field(default_factory=dict)

    def tasks(self) -> list[str]:
        """Return the names of the tasks that jobs may name, sorted."""
        return sorted(name for name in self.app.tasks if not name.startswith(_RESERVED))

    def resolve(self, firing: Firing) -> Callable[[], Any]:
        """Return a call of the firing's target (raises UnknownTarget)."""
        kind, name = firing.snapshot.target.get("kind"), str(firing.snapshot.target.get("name"))
        snapshot = firing.snapshot
        if kind == "function":
            function = self.functions.get(name)
            if function is None:
                raise UnknownTarget(_unknown("function", name, self.functions.names()))
            return partial(function, *snapshot.args, **snapshot.kwargs)
        if kind == references.KIND and "arguments" not in snapshot.target:
            return self._adopted(name, firing)
        if kind == references.KIND and self.message_key is not None:
            return references.opened(self.message_key(), firing, self.clock)
        if kind != "task" or name.startswith(_RESERVED) or name not in self.app.tasks:
            raise UnknownTarget(_unknown("task", name, self.tasks()))
        return partial(self._task, name, firing)

    def _adopted(self, reference: str, firing: Firing) -> Callable[[], Any]:
        """Return a call of what an adopted job names, if this application made it known; nothing is imported."""
        function = self.functions.get(reference)
        if function is not None:
            return partial(function, *firing.snapshot.args, **firing.snapshot.kwargs)
        task = reference.replace(":", ".")
        if task in self.app.tasks and not task.startswith(_RESERVED):
            return partial(self._task, task, firing)
        raise UnknownTarget(
            f"the reference {reference!r} is not sealed by an executor; if it is an adopted job's, make it known to the "
            f"workers, as a Celery task named {task!r} or with @register({reference!r})"
        )

    def _task(self, name: str, firing: Firing) -> Any:
        snapshot = firing.snapshot
        args, kwargs = list(snapshot.args), dict(snapshot.kwargs)
        request = _request(name, firing, self.hostname)
        traced = self._tracer(name)(request["id"], args, kwargs, request)
        info = traced.info
        if info is None:
            value = traced.retval
            if isinstance(value, CeleryRetry):  # self.retry(throw=False)
                raise self._retry(value, args, kwargs)
            return value
        if info.state == states.RETRY:
            raise self._retry(info.retval, args, kwargs)
        if isinstance(info.retval, Ignore):
            raise Ignored
        if isinstance(info.retval, Reject) and info.retval.requeue:
            raise Retry(f"rejected: {info.retval.reason}") from info.retval
        raise info.retval

    def _tracer(self, name: str) -> Callable[..., Any]:
        found = self._tracers.get(name)
        if found is None:
            # Eager: no message and no result leaves this process; everything else is as in any worker.
            found = build_tracer(
                name, self.app.tasks[name], loader=self.app.loader, hostname=self.hostname, eager=True, app=self.app
            )
            self._tracers[name] = found
        return found

    def _retry(self, asked: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Exception:
        again = asked.sig
        if again is not None and (list(again.args or ()) != list(args) or dict(again.kwargs or {}) != kwargs):
            return ChangedArguments(
                "self.retry() was called with other arguments: a firing keeps the arguments in its record"
            )
        when = asked.when
        if isinstance(when, datetime):
            now = self.clock.now()
            delay = (when - (now if when.tzinfo else now.replace(tzinfo=None))).total_seconds()
        else:
            delay = float(when or 0)
        error = Retry(str(asked.exc or asked), delay_s=max(0.0, delay))
        error.__cause__ = asked.exc if isinstance(asked.exc, BaseException) else asked
        return error


def _request(name: str, firing: Firing, hostname: str) -> dict[str, Any]:
    """Return what the task sees as ``self.request``."""
    return {
        "id": f"{firing.id}.{firing.attempt}",
        "root_id": f"{firing.id}.{firing.attempt}",
        "task": name,
        "retries": firing.attempt - 1,
        # Makes self.retry() raise instead of publishing.
        "is_eager": True,
        "ignore_result": True,
        "hostname": hostname,
        "timelimit": [None, firing.snapshot.time_limit_s],
        "delivery_info": {"is_eager": True, "exchange": None, "routing_key": firing.snapshot.pool, "priority": None},
        "headers": {"tenant": firing.uid, "job": firing.job, "firing": firing.id},
    }


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 3)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    elif known:
        hint = f"known: {', '.join(known[:5])}{', …' if len(known) > 5 else ''}"
    else:
        hint = f"no {kind} is registered here; is the worker's HORARIUM_APP the right one?"
    return f"this worker has no {kind} named {name!r}; {hint}"
