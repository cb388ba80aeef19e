"""Firings put into a real ledger by hand, and real worker processes that run them."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from jobstore.clock import from_posix, to_posix
from jobstore.firing import Covers, Draft, Firing, Snapshot
from jobstore.ids import SystemIds, firing_id
from jobstore.job import Retry, parse_spec
from jobstore.ledger import Mark
from jobstore.runtime import Runtime
from jobstore.store import Store, open_store
from jobstore.tenant import Defaults, Place, Tenant
from jobstore.timetable import Timetable
from tests.support.waiting import eventually
from workers.sender import Sender, open_sender
from workers.wire import Message

PROJECT = Path(__file__).parent / "project"
IDS = SystemIds()


class WorkerProcess:
    """``python -m workers`` in a process group of its own; everything it writes is kept."""

    def __init__(
        self, environment: Mapping[str, str], *, directory: Path = PROJECT, command: tuple[str, ...] = ()
    ) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            command or (sys.executable, "-m", "workers"),
            cwd=directory,
            env={"PATH": os.environ["PATH"], "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def await_line(self, pattern: str, *, within: float = 30.0) -> str:
        """Wait for a line that matches ``pattern``; return it."""

        def found() -> str | None:
            for line in list(self.lines):
                if re.search(pattern, line):
                    return line
            assert self.process.poll() is None or self._reader.is_alive(), self.text()
            return None

        return eventually(found, within=within, that=f"{pattern!r} in the output:\n{self.text()}")

    def text(self) -> str:
        return "\n".join(self.lines)

    def terminate(self, *, within: float = 30.0) -> int:
        """Ask it to stop and wait for it; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(within=within)

    def wait(self, *, within: float = 30.0) -> int:
        code = self.process.wait(within)
        self._reader.join(5)
        return code

    def kill(self) -> None:
        """End it and its children, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self._reader.join(5)
        assert self.process.stdout is not None
        self.process.stdout.close()


@dataclass
class Bench:
    """One tenant in one database, and a sender; ``fire`` is what a node would have done."""

    mongo_url: str
    broker_url: str
    database: str
    pool: str = "default"
    tenant_id: str = "acme"
    processes: list[WorkerProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store: Store = open_store(self.mongo_url, control=self.database, runtime=Runtime(), name="bench")
        self.store.ensure()
        self.tenant = self.add_tenant(self.tenant_id)
        self.sender: Sender = open_sender(self.broker_url, self.store.message_key())

    def add_tenant(self, name: str) -> Tenant:
        uid = f"{name}-{IDS.suffix()}"
        place = Place(uid=uid, database=self.database, jobs=f"jobs.{uid}", firings="firings")
        tenant = Tenant(id=name, place=place, defaults=Defaults(), created_at=self.store.time.now())
        self.store.tenants.add(tenant)
        self.store.ledger(place).ensure()
        return tenant

    def use_broker(self, url: str) -> None:
        """Publish to another broker, and tell it to the workers that start from now on."""
        self.sender.close()
        self.broker_url = url
        self.sender = open_sender(url, self.store.message_key())

    def close(self) -> None:
        for process in self.processes:
            process.kill()
        self.sender.close()
        self.store.close()

    def worker(self, *, ready: bool = True, **settings: Any) -> WorkerProcess:
        """Start a worker on this bench's queue."""
        environment = {
            "HORARIUM_MONGODB_URL": self.mongo_url,
            "HORARIUM_DATABASE": self.database,
            "HORARIUM_BROKER_URL": self.broker_url,
            "HORARIUM_APP": "shop:app",
            "HORARIUM_POOL": self.pool,
            "HORARIUM_HEARTBEAT": "0.3",
            **{f"HORARIUM_{key.upper()}": str(value) for key, value in settings.items()},
        }
        process = WorkerProcess(environment)
        self.processes.append(process)
        if ready:
            process.await_line("is ready")
        return process

    def record(
        self,
        name: str,
        *args: Any,
        kind: str = "task",
        job: str = "",
        retry: Mapping[str, Any] | None = None,
        time_limit_s: float | None = None,
        incarnation: str = "inc",
        epoch: int = 1,
        tenant: Tenant | None = None,
        nominal: float | None = None,
        **kwargs: Any,
    ) -> Message:
        """Write a firing into the ledger, dispatched, fence 41; return the message about it."""
        tenant = tenant or self.tenant
        job = job or f"job-{IDS.suffix()}"
        now = self.store.time.now()
        nominal = nominal or to_posix(now.replace(microsecond=0))
        draft = Draft(
            id=firing_id(tenant.uid, job, incarnation, from_posix(nominal), nonce=IDS.token()),
            uid=tenant.uid,
            job=job,
            incarnation=incarnation,
            kind="scheduled",
            nominal=nominal,
            covers=Covers(start=nominal, through=nominal + 60, count=2),
            plan_next=None,
            decision="run",
            reason="",
            snapshot=Snapshot(
                revision=1,
                target={"kind": kind, "name": name},
                args=args,
                kwargs=kwargs,
                pool=self.pool,
                time_limit_s=time_limit_s,
                retry=Retry(**(retry or {})).model_dump(),
            ),
            epoch=epoch,
        )
        ledger = self.store.ledger(tenant.place)
        (recorded,) = ledger.record([draft], at=now, sweep_at=now + timedelta(hours=1))
        assert recorded.stored is None
        assert recorded.fault is None
        self.mark(draft.id, 1, 41, tenant)
        return Message(
            uid=tenant.uid, firing=draft.id, attempt=1, epoch=epoch, pool=self.pool, time_limit_s=time_limit_s
        )

    def mark(self, firing: str, attempt: int, fence: int, tenant: Tenant | None = None) -> None:
        now = self.store.time.now()
        ledger = self.store.ledger((tenant or self.tenant).place)
        later = now + timedelta(hours=1)
        assert ledger.mark([Mark(firing, attempt, fence)], node="bench", at=now, republish_at=later) == {firing}

    def fire(self, name: str, *args: Any, **options: Any) -> str:
        """Record a firing and publish it; return its id."""
        message = self.record(name, *args, **options)
        self.sender.send([message])
        return message.firing

    def again(self, firing: str, attempt: int) -> None:
        """Release and publish a further attempt, with a greater fence."""
        self.mark(firing, attempt, 40 + attempt)
        self.sender.send([Message(uid=self.tenant.uid, firing=firing, attempt=attempt, epoch=1, pool=self.pool)])

    def firing(self, firing: str) -> Firing:
        found = self.store.ledger(self.tenant.place).get(firing)
        assert found is not None
        return found

    def await_state(self, firing: str, *states: str, within: float = 20.0) -> Firing:
        """Wait until the ledger says that the firing is in one of ``states``."""

        def there() -> Firing | None:
            found = self.firing(firing)
            return found if found.state in states else None

        return eventually(there, within=within, that=f"{states}; it is {self.firing(firing)}\n{self.output()}")

    def ended(self, firing: str, **options: Any) -> Firing:
        """Wait until a firing has ended, or waits for another attempt."""
        return self.await_state(firing, "succeeded", "failed", "pending", **options)

    def output(self) -> str:
        return "\n".join(process.text() for process in self.processes)

    def add_job(self, job: str, target: str, kind: str = "task") -> str:
        """Store a job; return its incarnation."""
        timetable = Timetable.from_spec({"every": "1h"}, now=self.store.time.now())
        spec = parse_spec({"trigger": timetable.to_document(), "target": {"kind": kind, "name": target}})
        jobs = self.store.jobs(self.tenant.place)
        assert jobs.add(job, spec, first=to_posix(self.store.time.now()) + 3600)
        return str(jobs.fetch(job)["incarnation"])
