"""What the core model is made of: job, firings, broker, nodes, workers, sweep; and how one of them changes."""

from typing import NamedTuple

from tests.model.explore import put

INSTANTS = 2
ATTEMPTS = 2
PENDING, DISPATCHED, RUNNING = "pending", "dispatched", "running"
SUCCEEDED, SKIPPED, CANCELLED, LOST = "succeeded", "skipped", "cancelled", "lost"
OPEN = frozenset((PENDING, DISPATCHED, RUNNING))
NOT_BEGUN = (PENDING, DISPATCHED)


class Job(NamedTuple):
    state: str
    nominal: int
    slots: tuple[int, ...] = ()


class Firing(NamedTuple):
    state: str
    decision: str
    attempt: int = 1
    worker: int = -1


class Node(NamedTuple):
    """``current``: no later claim or edit has raised the job's claim token; ``slots``: as read at the claim.

    ``plan`` is what the node read or wrote in the ledger: run, skip, or over (begun, or final).
    """

    step: str = "idle"
    instant: int = 0
    current: bool = False
    slots: tuple[int, ...] = ()
    live: tuple[int, ...] = ()
    plan: str = ""


class Worker(NamedTuple):
    step: str = "idle"
    instant: int = 0
    attempt: int = 0


class Sweep(NamedTuple):
    step: str = "idle"
    instant: int = 0
    firing: Firing | None = None
    job: Job | None = None


class Faults(NamedTuple):
    """How many of each may still happen; a verdict is a living worker declared dead."""

    crashes: int = 0
    copies: int = 0
    losses: int = 0
    steals: int = 0
    verdicts: int = 0


class State(NamedTuple):
    now: int
    job: Job | None
    firings: tuple[Firing | None, ...]
    broker: tuple[tuple[int, int], ...]
    nodes: tuple[Node, ...]
    workers: tuple[Worker, ...]
    sweep: Sweep
    delete: str
    faults: Faults
    begun: tuple[int, ...]
    """The last attempt begun of each firing."""
    declared: tuple[int, ...]
    """The last attempt declared dead of each firing."""


def other_worker(firing: Firing | None) -> Firing | None:
    return firing if firing is None or firing.worker < 0 else firing._replace(worker=1 - firing.worker)


def lives(s: State, instant: int) -> bool:
    there = s.firings[instant - 1]
    return there is not None and there.state in OPEN


def under_way(s: State, instant: int, attempt: int) -> bool:
    return (instant, attempt) in s.broker or Worker("took", instant, attempt) in s.workers


def spend(s: State, what: str) -> State:
    return s._replace(faults=s.faults._replace(**{what: getattr(s.faults, what) - 1}))


def node_to(s: State, index: int, node: Node) -> State:
    return s._replace(nodes=put(s.nodes, index, node))


def worker_to(s: State, index: int, worker: Worker) -> State:
    return s._replace(workers=put(s.workers, index, worker))


def firing_to(s: State, instant: int, firing: Firing) -> State:
    return s._replace(firings=put(s.firings, instant - 1, firing))


def close_as_read(s: State, instant: int, read: Firing, state: str) -> State:
    return firing_to(s, instant, read._replace(state=state)) if s.firings[instant - 1] == read else s


def close(s: State, instant: int, state: str) -> State:
    """End what waits for its first attempt."""
    there = s.firings[instant - 1]
    if there is None or (there.state, there.attempt) != (PENDING, 1):
        return s
    return firing_to(s, instant, there._replace(state=state))


def send(s: State, instant: int, attempt: int) -> State:
    message = (instant, attempt)
    return s if s.broker.count(message) >= 2 else s._replace(broker=tuple(sorted((*s.broker, message))))


def taken(s: State, message: tuple[int, int]) -> State:
    at = s.broker.index(message)
    return s._replace(broker=(*s.broker[:at], *s.broker[at + 1 :]))
