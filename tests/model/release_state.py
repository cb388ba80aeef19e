"""What the release model is made of: job, firings, the claim path and releases, workers, stops."""

from typing import NamedTuple

from tests.model.explore import put

PENDING, RUNNING, SUCCEEDED, CANCELLED, LOST = "pending", "running", "succeeded", "cancelled", "lost"
OPEN = (PENDING, RUNNING)
SCHEDULED, MANUAL = 0, 1
BOTH = (SCHEDULED, MANUAL)
ATTEMPTS = 2


class Job(NamedTuple):
    """``revision`` counts edits; ``stop`` is the revision of the last pause or delete."""

    state: str
    revision: int = 1
    stop: int = 0
    slots: tuple[int, ...] = ()
    fence: int = 0


class Firing(NamedTuple):
    """``fence`` is 0 until this attempt is marked; ``ready``: the wait of a retry is over."""

    state: str
    revision: int
    attempt: int = 1
    fence: int = 0
    ready: bool = True


class Read(NamedTuple):
    """What admission compares of a job."""

    state: str
    stop: int
    slots: tuple[int, ...]


class Actor(NamedTuple):
    """The claim path, or a release; ``live``: those of the slots as read that it believes to be held."""

    step: str = "idle"
    firing: int = 0
    attempt: int = 0
    revision: int = 0
    read: Read | None = None
    live: tuple[int, ...] = ()
    fence: int = 0


class Worker(NamedTuple):
    step: str = "idle"
    firing: int = 0
    attempt: int = 0


class Sweep(NamedTuple):
    firing: int
    attempt: int
    revision: int
    marked: bool


class Stop(NamedTuple):
    """How far the script of pause, resume and delete is; ``cancels``: the firing to be cancelled next."""

    done: int = 0
    cancels: int = -1
    answered: bool = False


class Faults(NamedTuple):
    crashes: int = 0
    failures: int = 0
    verdicts: int = 0
    copies: int = 0
    losses: int = 0


class State(NamedTuple):
    job: Job
    firings: tuple[Firing | None, ...]
    broker: tuple[tuple[int, int], ...]
    node: Actor
    releases: tuple[Actor, ...]
    workers: tuple[Worker, ...]
    sweep: Sweep | None
    trigger: str
    """The manual trigger: "not yet", the revision that it read, or "done"."""
    stop: Stop
    faults: Faults
    begun: tuple[int, ...] = (0, 0)
    last_fence: int = 0


def read_job(job: Job) -> Read:
    return Read(job.state, job.stop, job.slots)


def firing_to(s: State, index: int, firing: Firing) -> State:
    return s._replace(firings=put(s.firings, index, firing))


def worker_to(s: State, index: int, worker: Worker) -> State:
    return s._replace(workers=put(s.workers, index, worker))


def spend(s: State, what: str) -> State:
    return s._replace(faults=s.faults._replace(**{what: getattr(s.faults, what) - 1}))


def under_way(s: State, index: int, attempt: int) -> bool:
    return (index, attempt) in s.broker or Worker("took", index, attempt) in s.workers


def with_small_fences(s: State) -> State:
    """Count fences by rank: only their order matters."""
    known = [0, s.job.fence, s.last_fence, s.node.fence, *(actor.fence for actor in s.releases)]
    known += [firing.fence for firing in s.firings if firing is not None]
    used = sorted(set(known))
    if used[-1] < len(used):
        return s
    rank = {fence: place for place, fence in enumerate(used)}
    return s._replace(
        job=s.job._replace(fence=rank[s.job.fence]),
        last_fence=rank[s.last_fence],
        node=s.node._replace(fence=rank[s.node.fence]),
        releases=tuple(actor._replace(fence=rank[actor.fence]) for actor in s.releases),
        firings=tuple(firing and firing._replace(fence=rank[firing.fence]) for firing in s.firings),
    )
