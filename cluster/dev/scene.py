"""What the screen shows at one moment, as plain values.  Pure: ``view`` draws it, ``session`` gathers it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cluster.dev.child import View
from cluster.dev.signs import Kind, kind_of, worker_of
from cluster.dev.stack import Step
from cluster.dev.strip import Cell
from cluster.dev.takeover import Aftermath, Takeover
from cluster.dev.tally import Totals, begun_ms, released_ms
from jobstore.firing import Firing


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRow:
    """A supervised process: ``done`` is what it released or ran in this run, ``now`` what it holds or runs."""

    view: View
    done: int = 0
    now: int = 0

    @property
    def is_node(self) -> bool:
        """Return whether it is a scheduler node."""
        return self.view.name.startswith("node-")


@dataclass(frozen=True, slots=True, kw_only=True)
class FiringRow:
    """One firing; ``late_ms`` is until it began on a worker, or until it was released where it has not begun."""

    at: datetime
    tenant: str
    job: str
    nominal: datetime
    node: str
    worker: str
    late_ms: float | None
    kind: Kind
    outcome: str
    reason: str
    attempt: int = 1
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRow:
    """One tenant: its last instants and its totals; ``state`` says why nothing new fires, if that is so."""

    name: str
    cells: tuple[Cell, ...]
    totals: Totals
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A line that says what happened: ``good`` None while it is not known how it ends."""

    at: datetime
    text: str
    good: bool | None = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything on the screen.

    Attributes:
        now: The time shown.
        up_s: Seconds since everything was up; None while it starts.
        left_s: Seconds until it stops by itself, if it does.
        steps: What is up so far, while it starts.
        servers: Where the servers answer, by name.
        processes: Nodes and workers.
        tenants: In order of name.
        firings: The last ones, the newest last.
        totals: Of this run.
        notes: What happened, the newest last.
        keys: What the keys do, by key.
        stopping: What is being waited for at the end; empty before.
    """

    now: datetime
    up_s: float | None = None
    left_s: float | None = None
    steps: Sequence[Step] = ()
    servers: Mapping[str, str]
    processes: Sequence[ProcessRow] = ()
    tenants: Sequence[TenantRow] = ()
    firings: Sequence[FiringRow] = ()
    totals: Totals = field(default_factory=Totals)
    notes: Sequence[Note] = ()
    keys: Mapping[str, str]
    stopping: str = ""


def process_rows(views: Sequence[View], totals: Totals, holds: Mapping[str, int]) -> list[ProcessRow]:
    """Return a row for each process, with what the ledger says it did; ``holds`` are the nodes' claims."""
    rows = []
    for view in views:
        node = view.name.startswith("node-")
        done = (totals.by_node if node else totals.by_worker).get(view.name, 0)
        now = (holds if node else totals.running_at).get(view.name, 0)
        rows.append(ProcessRow(view=view, done=done, now=now))
    return rows


def last_moved(firing: Firing) -> datetime:
    """Return when a firing began, or how far it has come: the order in which firings are shown."""
    return firing.started_at or firing.released_at or firing.created_at


def firing_row(firing: Firing, tenant: str) -> FiringRow:
    """Return a firing as it is shown."""
    late = begun_ms(firing)
    return FiringRow(
        at=last_moved(firing),
        tenant=tenant,
        job=firing.job,
        nominal=firing.instant,
        node=firing.released_by or "",
        worker=worker_of(firing.worker),
        late_ms=released_ms(firing) if late is None else late,
        kind=kind_of(firing),
        outcome=firing.state,
        reason=firing.reason,
        attempt=firing.attempt,
        count=firing.covers.count,
    )


def takeover_text(takeover: Takeover, lost: int, twice: int) -> tuple[str, bool | None]:
    """Return what followed a death in a sentence, and whether it went well (None: not known yet)."""
    said = f"{takeover.death.name} {takeover.death.how}"
    if takeover.idle:
        return f"{said}; nothing was its turn", (lost == twice == 0) if takeover.settled else None
    if takeover.by is None:
        return f"{said}; nobody has taken over yet", None
    kept = f"lost {lost}, twice {twice}"
    return f"{said}; {takeover.by} took over after {takeover.after_s:.1f} s; {kept}", lost == twice == 0


def aftermath_text(aftermath: Aftermath) -> tuple[str, bool | None]:
    """Return what followed the death of a worker in a sentence, and whether that is known yet."""
    said = f"{aftermath.death.name} {aftermath.death.how}"
    if aftermath.waiting:
        runs = "its run begins" if aftermath.waiting == 1 else f"its {aftermath.waiting} runs begin"
        return f"{said}; {runs} again once it counts as dead (30 s)", None
    if not aftermath.repeated:
        return f"{said}; it ran nothing", True
    return f"{said}; {'its run was' if aftermath.repeated == 1 else f'{aftermath.repeated} runs were'} given up", True
