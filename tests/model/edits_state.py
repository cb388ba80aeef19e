"""What the edits model is made of: job, records, nodes, release, editors; and the writes that several of them make."""

from typing import NamedTuple

from tests.model.explore import put, with_message

INSTANTS = 2
PENDING, DISPATCHED, RAN, SUPERSEDED = "pending", "dispatched", "ran", "superseded"
OPEN = (PENDING, DISPATCHED)
EARLIER = 9
"""A firing from before that may hold the only slot."""


class Owed(NamedTuple):
    """The instants that an edit took away and that are not in the ledger yet; ``admitted``: the slots it found."""

    start: int
    through: int
    admitted: tuple[int, ...]


class Job(NamedTuple):
    nominal: int = 1
    revision: int = 0
    timetable_rev: int = 0
    owed: Owed | None = None
    slots: tuple[int, ...] = ()


class Record(NamedTuple):
    through: int
    revision: int
    state: str = PENDING


class Node(NamedTuple):
    """``current``: no later claim or edit; ``job``: as claimed; ``head``: to settle, or what was recorded."""

    step: str = "idle"
    current: bool = False
    job: Job = Job()
    seen: int = 0
    head: int = 0
    through: int = 0
    live: tuple[int, ...] = ()
    runs: bool = False


class Release(NamedTuple):
    step: str = "idle"
    head: int = 0
    record: Record | None = None
    job: Job = Job()


class Editor(NamedTuple):
    """``script``: the edits still to be made, the first at work; ``head``: the record that is looked at.

    ``own``: it has changed the job, so what is owed is its own.
    """

    script: tuple[str, ...] = ()
    step: str = "idle"
    job: Job = Job()
    head: int = 0
    record: Record | None = None
    own: bool = False


class State(NamedTuple):
    now: int
    job: Job
    earlier: bool
    nodes: tuple[Node, ...]
    release: Release
    editors: tuple[Editor, ...]
    broker: tuple[int, ...]
    records: tuple[Record | None, ...]
    crashes: int
    answered: int = 0
    """The revision of the last edit that was answered."""
    changed_at: int = 0
    """The last instant that was due when the timetable was changed for the last time."""


def record_to(s: State, head: int, record: Record) -> State:
    return s._replace(records=put(s.records, head - 1, record))


def node_to(s: State, index: int, node: Node) -> State:
    return s._replace(nodes=put(s.nodes, index, node))


def editor_to(s: State, index: int, editor: Editor) -> State:
    return s._replace(editors=put(s.editors, index, editor))


def lives(s: State, slot: int) -> bool:
    if slot == EARLIER:
        return s.earlier
    record = s.records[slot - 1]
    return record is not None and record.state in OPEN


def live_slots(s: State, slots: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(slot for slot in slots if lives(s, slot))


def refreshed(s: State, head: int, revision: int) -> State:
    """Give a record that has not begun the snapshot of a newer revision."""
    record = s.records[head - 1]
    if record is None or record.state not in OPEN or record.revision >= revision:
        return s
    return record_to(s, head, record._replace(revision=revision))


def superseded(s: State, head: int) -> State:
    """End a record that waits."""
    record = s.records[head - 1]
    if record is None or record.state != PENDING:
        return s
    return record_to(s, head, record._replace(state=SUPERSEDED))


def settled_at(s: State, job: Job, head: int) -> tuple[State, int]:
    """Settle what ``job`` owes at one head: insert a range that is superseded, or end what is there; the next head."""
    owed, record = job.owed, s.records[head - 1]
    if owed is None:
        raise ValueError("nothing is owed")
    if record is None:
        return record_to(s, head, Record(owed.through, job.revision, SUPERSEDED)), owed.through + 1
    if record.state == PENDING and record.revision < job.revision and head not in owed.admitted:
        s = superseded(s, head)
    return s, record.through + 1


def without_claims(s: State) -> State:
    """An edit clears the lease and raises the claim token."""
    return s._replace(nodes=tuple(node._replace(current=False) for node in s.nodes))


def sent(s: State, head: int) -> State:
    return s._replace(broker=with_message(s.broker, head))
