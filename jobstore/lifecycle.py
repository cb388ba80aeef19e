"""The states of a job and of a firing, as two tables.

Everything that moves a job or a firing from state to state is listed here, and nothing else is possible: filters of
updates take their states from ``before``, updates write ``after``, and the diagram in the documentation is made from
the same tables.  A final state never changes.
"""

from typing import Final, Literal

FiringState = Literal[
    "pending", "dispatched", "running",
    "succeeded", "failed", "lost", "skipped", "missed", "cancelled", "superseded", "shadowed",
]  # fmt: skip
FiringAction = Literal[
    "mark",
    "republish",
    "begin",
    "succeed",
    "fail",
    "retry",
    "lose",
    "skip",
    "miss",
    "supersede",
    "shadow",
    "cancel",
    "abort",
]
JobState = Literal["active", "paused", "completed", "quarantined", "deleting"]
JobAction = Literal["pause", "resume", "complete", "reopen", "quarantine", "recover", "delete"]
TenantState = Literal["active", "suspended", "draining", "deleted"]
TenantAction = Literal["suspend", "drain", "resume", "delete"]

FIRINGS: Final[dict[FiringAction, tuple[tuple[FiringState, ...], FiringState]]] = {
    # The mark comes before the publish, so that a worker finds "dispatched", never "pending".
    "mark": (("pending",), "dispatched"),
    "republish": (("dispatched",), "dispatched"),
    "begin": (("dispatched",), "running"),
    "succeed": (("running",), "succeeded"),
    "fail": (("running",), "failed"),
    # A further attempt: after a failure that is retried, or after the worker was declared dead.
    "retry": (("running",), "pending"),
    "lose": (("running",), "lost"),
    "skip": (("pending",), "skipped"),
    "miss": (("pending",), "missed"),
    "supersede": (("pending",), "superseded"),
    "shadow": (("pending",), "shadowed"),
    "cancel": (("pending", "dispatched"), "cancelled"),
    # Only after it was asked for, by the worker that heeds it or by the sweep when that worker is gone.
    "abort": (("running",), "cancelled"),
}

JOBS: Final[dict[JobAction, tuple[tuple[JobState, ...], JobState]]] = {
    "pause": (("active",), "paused"),
    "resume": (("paused",), "active"),
    "complete": (("active",), "completed"),
    # An edit gives a job that had run out of instants new ones.
    "reopen": (("active", "completed", "quarantined"), "active"),
    "quarantine": (("active", "paused", "completed"), "quarantined"),
    "recover": (("quarantined",), "active"),
    "delete": (("active", "paused", "completed", "quarantined"), "deleting"),
}

TENANTS: Final[dict[TenantAction, tuple[tuple[TenantState, ...], TenantState]]] = {
    "suspend": (("active", "draining"), "suspended"),
    "drain": (("active",), "draining"),
    # One that is deleted comes back as long as its grace lasts.
    "resume": (("suspended", "draining", "deleted"), "active"),
    "delete": (("active", "suspended", "draining"), "deleted"),
}

OPEN: Final[tuple[FiringState, ...]] = ("pending", "dispatched", "running")
FINAL: Final[frozenset[FiringState]] = frozenset(
    ("succeeded", "failed", "lost", "skipped", "missed", "cancelled", "superseded", "shadowed")
)


def before(action: FiringAction) -> list[str]:
    """Return the firing states in which ``action`` is allowed, for a filter's ``$in``."""
    return list(FIRINGS[action][0])


def after(action: FiringAction) -> FiringState:
    """Return the state that ``action`` leads to."""
    return FIRINGS[action][1]


def job_before(action: JobAction) -> list[str | None]:
    """Return the job states in which ``action`` is allowed; a missing state (a document of stock) is ``active``."""
    states = JOBS[action][0]
    return [*states, None] if "active" in states else list(states)


def job_after(action: JobAction) -> JobState:
    """Return the state that ``action`` leads to."""
    return JOBS[action][1]
