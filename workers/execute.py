"""One message, from its arrival to its outcome: check, begin, resolve, call, finish.  Knows nothing of Celery."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from jobstore.errors import StoreUnavailable
from jobstore.events import FiringBegun, FiringFinished, JobQuarantined, MessageDropped, WriteRefused
from jobstore.firing import Firing
from jobstore.ids import once_marker
from jobstore.noted import NOTHING
from jobstore.runs import Outcome
from jobstore.store import Store
from jobstore.tenant import Tenant
from workers import outcome
from workers.context import OnceScope, context_of, running
from workers.limits import Limits
from workers.live import Interrupts, Live, Run
from workers.notebook import Notebook
from workers.wire import FINISH_WITHIN_S, BadMessage, Order, decode

_LOG: Final = logging.getLogger("horarium.worker")
_T = TypeVar("_T")
BEGIN_WITHIN_S: Final = 10.0
_LONGEST_KEY: Final = 200
# A draining tenant gets no new firings; what was dispatched may still begin.
_MAY_BEGIN: Final = ("active", "draining")


class Targets(Protocol):
    """Finds what a firing calls."""

    def resolve(self, firing: Firing) -> Callable[[], Any]:
        """Return a call without arguments (raises UnknownTarget).

        The call raises what the target raises, ``Retry`` and ``Ignored`` for what the target asks for.
        """
        ...


@dataclass(slots=True)
class Executor:
    """Runs firings in one worker process; safe for threads."""

    store: Store
    targets: Targets
    live: Live
    interrupts: Interrupts
    limits: Limits
    worker: str
    # Of runs whose job has no limit, and the most that any may have.
    time_limit_s: float | None = None
    max_time_limit_s: float | None = None
    draining: threading.Event = field(default_factory=threading.Event)
    _key: bytes | None = None
    _never: threading.Event = field(default_factory=threading.Event)

    def run(self, fields: Mapping[str, object]) -> None:
        """Act on a message; whatever is wrong with it, it is done with afterwards."""
        begun = self._accept(fields)
        if begun is None:
            return
        firing, tenant, run = begun
        runtime = self.store.runtime
        try:
            runtime.points.reach("begin.after")
            started = runtime.clock.monotonic()
            ended = self._call(firing, tenant, run)
            runtime.points.reach("run.after")
            if ended is not None:
                ended = ended if run.notebook is None else replace(ended, noted=run.notebook.all())
                self._finish(firing, tenant, ended, runtime.clock.monotonic() - started)
                runtime.points.reach("finish.after")
        finally:
            self.live.leave(run)

    # -- begin

    def _accept(self, fields: Mapping[str, object]) -> tuple[Firing, Tenant, Run] | None:
        """Return what has begun, or None if there is nothing to run: no target code without a positive answer."""
        deadline = self.store.runtime.clock.monotonic() + BEGIN_WITHIN_S
        try:
            order = decode(fields, self._patiently(self.message_key, deadline))
            tenant = self._patiently(partial(self._confirm, order), deadline)
            if tenant is not None and self.draining.is_set():
                self._patiently(partial(self._pass_on, order, tenant), deadline)
                return None
            return None if tenant is None else self._begin(order, tenant, deadline)
        except BadMessage as error:
            self._drop(error.firing, error.fault)
        except StoreUnavailable as error:
            _LOG.warning("no answer in time, the message is dropped and will come again: %s", error)
            self._drop(str(fields.get("firing", ""))[:100], "unanswered")
        return None

    def _begin(self, order: Order, tenant: Tenant, deadline: float) -> tuple[Firing, Tenant, Run] | None:
        token = self.store.runtime.ids.token()
        run = Run(order.firing, token, tenant.place)
        begin = partial(
            self.store.runs(tenant.place).begin,
            order.firing,
            attempt=order.attempt,
            epoch=order.epoch,
            run_token=token,
            worker=self.worker,
        )
        self.live.enter(run)
        firing = None
        try:
            # The same token every time, so that a begin whose answer was lost is found to be ours.
            firing = self._patiently(begin, deadline)
        finally:
            if firing is None:
                self.live.leave(run)
        if firing is None:
            self._drop(order.firing, "duplicate")
            return None
        self.store.runtime.events.emit(FiringBegun(firing.id, firing.attempt, firing.fence or 0, self.worker))
        return firing, tenant, run

    def _pass_on(self, order: Order, tenant: Tenant) -> None:
        """Let a node hand the firing over anew at once: its message ends here."""
        self.store.ledger(tenant.place).hasten({"_id": order.firing}, at=self.store.time.now())
        self._drop(order.firing, "draining")

    def message_key(self) -> bytes:
        """Return the key that messages and references are signed with (raises StoreUnavailable)."""
        if self._key is None:
            self._key = self.store.message_key()
        return self._key

    def _confirm(self, order: Order) -> Tenant | None:
        """Return the tenant if message and configuration, as just confirmed, agree about it."""
        cache = self.store.cache
        tenant = cache.get(order.uid)
        if not cache.trusted() or tenant is None or tenant.epoch < order.epoch:
            cache.refresh()
            tenant = cache.get(order.uid)
        if tenant is None or tenant.epoch != order.epoch:
            self._drop(order.firing, "stale")
        elif tenant.state not in _MAY_BEGIN:
            self._drop(order.firing, "suspended")
        else:
            return tenant
        return None

    def _drop(self, firing: str, reason: str) -> None:
        self.store.runtime.events.emit(MessageDropped(firing, reason))

    # -- call

    def _call(self, firing: Firing, tenant: Tenant, run: Run) -> Outcome | None:
        """Call the target; None if the attempt was lost meanwhile and has no outcome of its own."""
        run.record = firing
        notebook = run.notebook = Notebook(firing.attempt, firing.noted, self.store.time.now)
        context = context_of(
            firing,
            tenant=tenant.id,
            previous=partial(self.store.runs(tenant.place).previous_success, firing.uid, firing.job, firing.nominal),
            cancelled=run.cancelled.is_set,
            notebook=notebook,
            once=partial(self._once, firing, tenant, notebook),
        )
        token = running.set(context)
        try:
            target = self.targets.resolve(firing)
            limit = self._limit(firing.snapshot.time_limit_s)
            if limit is not None:
                self.limits.watch(run, limit)
            value = self.interrupts.call(run, target)
        except outcome.RunLost:
            self.store.runtime.events.emit(WriteRefused("finish", firing.id))
            return None
        except outcome.RunCancelled:
            return Outcome(state="cancelled", reason=run.cancel_reason or "")
        except outcome.RunStopped:
            return outcome.stopped(firing, now=self.store.time.now())
        except SystemExit as error:
            # The pool's own: this process is to end, and the sweep will see to the run.
            if type(error) is not SystemExit or (isinstance(error.code, int) and error.code < 0):
                raise
            return self._raised(firing, error)
        except Exception as error:  # noqa: BLE001  (job code may raise anything; it becomes the outcome)
            ended = self._raised(firing, error)
            if run.cancel_reason is not None:  # what it raised while it was tidying up
                return replace(ended, state="cancelled", reason=run.cancel_reason, retry_at=None)
            return outcome.stopped(firing, now=self.store.time.now(), error=error) if run.stopped else ended
        finally:
            running.reset(token)
            self.limits.forget(run)
        return outcome.returned(value)

    def _limit(self, wanted: float | None) -> float | None:
        found = self.time_limit_s if wanted is None else wanted
        if self.max_time_limit_s is None:
            return found
        return self.max_time_limit_s if found is None else min(found, self.max_time_limit_s)

    def _once(
        self, firing: Firing, tenant: Tenant, notebook: Notebook, key: str, scope: OnceScope, keep: timedelta | None
    ) -> bool:
        if not 1 <= len(key) <= _LONGEST_KEY or (keep is not None and keep <= timedelta(0)):
            raise ValueError(f"the key of a marker has 1 to {_LONGEST_KEY} characters, and it is kept for some time")
        # A job that was made again is another one.
        unique_in = f"{firing.job}|{firing.incarnation}" if scope == "job" else ""
        mark = partial(
            self.store.runs(tenant.place).mark_once,
            firing,
            once_marker(f"{scope}|{unique_in}", key),
            key=key,
            nonce=self.store.runtime.ids.token(),
            expire_at=None if keep is None else self.store.time.now() + keep,
        )
        first = self._patiently(mark, self.store.runtime.clock.monotonic() + BEGIN_WITHIN_S)
        if first:
            notebook.marked(key)
        return first

    def _raised(self, firing: Firing, error: BaseException) -> Outcome:
        return outcome.raised(firing, error, now=self.store.time.now(), time_limit=self.interrupts.time_limit)

    # -- finish

    def _finish(self, firing: Firing, tenant: Tenant, ended: Outcome, seconds: float) -> None:
        events = self.store.runtime.events
        runs = self.store.runs(tenant.place)
        deadline = self.store.runtime.clock.monotonic() + FINISH_WITHIN_S
        try:
            kept = self._patiently(partial(runs.finish, firing, ended), deadline)
        except StoreUnavailable as error:
            _LOG.error("the outcome of %s is given up, the sweep will decide: %s", firing.id, error)
            return
        if not kept:
            events.emit(WriteRefused("finish", firing.id))
            return
        state = "pending" if ended.retry_at is not None else ended.state
        events.emit(FiringFinished(firing.id, firing.attempt, state, ended.reason, round(seconds, 6)))
        if ended.reason == "unknown_target":
            self._quarantine(firing, tenant, ended.error or "")

    def give_back(self, run: Run) -> None:
        """Record that a run which heeds nothing ends now; the caller ends its process."""
        firing = run.record
        tenant = None if firing is None else self.store.cache.get(firing.uid)
        if firing is None or tenant is None:
            return
        noted = NOTHING if run.notebook is None else run.notebook.all()
        ended = replace(outcome.stopped(firing, now=self.store.time.now()), noted=noted)
        try:
            kept = self.store.runs(tenant.place).finish(firing, ended)
        except StoreUnavailable:
            return  # a node will find the worker gone
        if kept:
            state = "failed" if ended.retry_at is None else "pending"
            self.store.runtime.events.emit(FiringFinished(firing.id, firing.attempt, state, ended.reason, 0.0))

    def _quarantine(self, firing: Firing, tenant: Tenant, reason: str) -> None:
        """Set the job aside, unless it has been given another target since."""
        jobs = self.store.jobs(tenant.place)
        try:
            document = jobs.fetch(firing.job)
            if document is None or document.get("incarnation") != firing.incarnation:
                return
            if document.get("revision") != firing.snapshot.revision or not jobs.quarantine(document, reason):
                return
        except StoreUnavailable as error:
            _LOG.warning(
                "the job %s is not yet in quarantine, its next firing will put it there: %s", firing.job, error
            )
            return
        self.store.runtime.events.emit(JobQuarantined(firing.uid, firing.job, reason))

    # -- waiting for MongoDB

    def _patiently(self, call: Callable[[], _T], deadline: float) -> _T:
        """Repeat ``call`` while MongoDB does not answer, with growing waits, until ``deadline``."""
        clock = self.store.runtime.clock
        wait = 0.1
        while True:
            try:
                return call()
            except StoreUnavailable:
                if clock.monotonic() + wait > deadline:
                    raise
                clock.wait(self._never, wait * (0.5 + self.store.runtime.ids.fraction()))
                wait = min(5.0, wait * 2)
