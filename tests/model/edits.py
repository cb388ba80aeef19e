"""Edits against claim, record, advance and release: no instant is lost, and none runs with what an edit replaced.

One job with two instants, catch-up ``latest`` and one slot that an earlier firing may hold.  An edit either keeps the
timetable and refreshes what has not begun, or changes it: then the same write that changes the job says what the old
timetable still ``owed``, and the edit or whoever claims next settles that before anything else is planned.  Several
edits follow each other or race.  A record's snapshot is read at begin, so a record that has not begun can be refreshed.

How state is cut short: a claim token is "no claim or edit since"; begin and finish are one step; what was dispatched is
published again in one step; a firing that finds no slot waits.
"""

from collections.abc import Callable, Iterator
from typing import ClassVar

from tests.model.edits_state import (
    DISPATCHED,
    EARLIER,
    INSTANTS,
    OPEN,
    PENDING,
    RAN,
    SUPERSEDED,
    Editor,
    Job,
    Node,
    Owed,
    Record,
    Release,
    State,
    editor_to,
    live_slots,
    node_to,
    record_to,
    refreshed,
    sent,
    settled_at,
    superseded,
    without_claims,
)
from tests.model.explore import Model, Step


class Edits(Model):
    """See the module; ``scripts``: for each editor its edits in a row, "keep" or "change" the timetable."""

    MUTANTS: ClassVar = {
        "duplicate-not-refreshed": "a claimer that finds an older record follows it as it is",
        "refresh-unadmitted-only": "an edit does not refresh what is admitted",
        "stale-by-revision": "release ends what is older than any edit, not only than a change of the timetable",
        "stale-first": "the same, and before it asks whether the job has moved past the record",
        "edit-keeps-claim": "an edit leaves the claim, and the advance does not compare the revision",
        "settle-before-change": "an edit writes the superseded record first, the job afterwards",
        "owed-not-in-job": "what is owed is known to the editor only",
        "edit-overwrites-owed": "an edit does not settle what an earlier one left owed",
        "plan-before-settling": "a claimer plans on without settling what is owed",
        "admission-ignores-edit": "release admits without comparing the revision that it read",
    }

    def __init__(
        self,
        mutant: str | None = None,
        *,
        scripts: tuple[tuple[str, ...], ...] = (("keep",),),
        crashes: int = 1,
        busy: bool = True,
        nodes: int = 2,
    ) -> None:
        super().__init__(mutant)
        self.scripts, self.crashes, self.busy, self.nodes = scripts, crashes, busy, nodes

    def start(self) -> State:
        editors = tuple(Editor(script) for script in self.scripts)
        job = Job(slots=(EARLIER,) if self.busy else ())
        nodes = (Node(),) * self.nodes
        return State(0, job, self.busy, nodes, Release(), editors, (), (None,) * INSTANTS, self.crashes)

    def steps(self, state: State) -> Iterator[Step]:
        if state.now < INSTANTS:
            yield Step("time passes", state._replace(now=state.now + 1))
        if state.earlier:
            yield Step("the earlier firing ends", state._replace(earlier=False))
        for index in range(len(state.nodes)):
            yield from self._node(state, index)
        yield from self._release(state)
        yield from self._worker(state)
        for index in range(len(state.editors)):
            yield from self._editor(state, index)

    # -- nodes: settle what is owed, or record and advance

    def _node(self, s: State, index: int) -> Iterator[Step]:
        node, who = s.nodes[index], f"node {index}"
        if node.step == "idle":
            yield from self._claim(s, index)
            return
        if s.crashes:
            yield Step(f"{who} dies", node_to(s._replace(crashes=s.crashes - 1), index, Node()), fault=True)
        if node.step == "settle":
            yield self._node_settles(s, index)
        elif node.step == "look":
            live = live_slots(s, node.job.slots)
            yield Step(f"{who} looks up the slots", node_to(s, index, node._replace(step="record", live=live)))
        elif node.step == "record":
            yield self._record(s, index)
        elif node.step == "advance":
            yield self._advance(s, index)
        elif node.step == "mark":
            yield self._mark(s, node.head, who, lambda to, step: node_to(to, index, node._replace(step=step)))
        else:
            yield Step(f"{who} publishes {node.head}", node_to(sent(s, node.head), index, Node()))

    def _claim(self, s: State, index: int) -> Iterator[Step]:
        settles = s.job.owed is not None and self.mutant != "plan-before-settling"
        due = settles or s.job.nominal <= min(s.now, INSTANTS)
        if not due or any(node.current for node in s.nodes):
            return
        job, claim = s.job, Node("record", True, s.job, s.now, s.job.nominal)
        if job.owed is not None and settles:
            claim = claim._replace(step="settle", head=job.owed.start)
        elif job.slots:
            claim = claim._replace(step="look")
        yield Step(f"node {index} claims", node_to(s, index, claim))

    def _node_settles(self, s: State, index: int) -> Step:
        """Settle what an edit left; what is due after that is planned in the same pass, and the advance clears it."""
        node, owed = s.nodes[index], s.nodes[index].job.owed
        if owed is not None and node.head <= owed.through:
            to, head = settled_at(s, node.job, node.head)
            return Step(f"node {index} settles {node.head}", node_to(to, index, node._replace(head=head)))
        head = max(node.job.nominal, node.head)
        step = "advance" if head > min(node.seen, INSTANTS) else "look" if node.job.slots else "record"
        after = node._replace(step=step, head=head, through=head - 1, live=node.job.slots)
        return Step(f"node {index} has settled all", node_to(s, index, after))

    def _record(self, s: State, index: int) -> Step:
        node, who = s.nodes[index], f"node {index}"
        there = s.records[node.head - 1]
        after = node._replace(step="advance", runs=there is None or there.state == PENDING)
        if there is None:
            through = min(node.seen, INSTANTS)
            to = record_to(s, node.head, Record(through, node.job.revision))
            return Step(f"{who} records {node.head} to {through}", node_to(to, index, after._replace(through=through)))
        to = s if self.mutant == "duplicate-not-refreshed" else refreshed(s, node.head, node.job.revision)
        return Step(f"{who} finds {node.head}", node_to(to, index, after._replace(through=there.through)))

    def _advance(self, s: State, index: int) -> Step:
        node, job, who = s.nodes[index], s.job, f"node {index}"
        same = node.current and job == node.job
        if self.mutant == "edit-keeps-claim":
            same = node.current and (job.nominal, job.slots) == (node.job.nominal, node.job.slots)
        if not same:
            return Step(f"{who} may not advance", node_to(s, index, Node()))
        admits = node.runs and not node.live
        slots = (node.head,) if admits else node.live
        owed = job.owed if self.mutant == "plan-before-settling" else None
        moved = s._replace(job=job._replace(nominal=node.through + 1, slots=slots, owed=owed))
        after = Node("mark", head=node.head) if admits else Node()
        return Step(f"{who} advances past {node.through}, slots {slots}", node_to(moved, index, after))

    def _mark(self, s: State, head: int, who: str, go: Callable[[State, str], State]) -> Step:
        record = s.records[head - 1]
        if record is None or record.state != PENDING:
            return Step(f"{who} does not mark {head}", go(s, "idle"))
        return Step(f"{who} marks {head}", go(record_to(s, head, record._replace(state=DISPATCHED)), "publish"))

    # -- release: read the record, read the job; end, refresh, admit, mark, publish

    def _release(self, s: State) -> Iterator[Step]:
        at = s.release
        if at.step == "idle":
            for head, record in enumerate(s.records, 1):
                if record is not None and record.state == PENDING:
                    yield Step(f"release reads {head}", s._replace(release=Release("read job", head, record)))
            return
        if s.crashes:
            yield Step("release dies", s._replace(crashes=s.crashes - 1, release=Release()), fault=True)
        if at.step == "read job":
            yield Step("release reads the job", s._replace(release=at._replace(step="judge", job=s.job)))
        elif at.step == "judge" and at.record is not None:
            yield self._judge(s, at, at.record)
        elif at.step == "look":
            full = at.head not in at.job.slots and live_slots(s, at.job.slots)
            after = Release() if full else at._replace(step="admit")
            yield Step(f"release finds {'no' if full else 'a'} slot", s._replace(release=after))
        elif at.step == "admit":
            yield self._admit(s, at)
        elif at.step == "mark":
            yield self._mark(s, at.head, "release", lambda to, step: to._replace(release=at._replace(step=step)))
        else:
            yield Step(f"release publishes {at.head}", sent(s, at.head)._replace(release=Release()))

    def _judge(self, s: State, at: Release, record: Record) -> Step:
        head, job, done = at.head, at.job, s._replace(release=Release())
        by_revision = self.mutant in ("stale-by-revision", "stale-first")
        stale = record.revision < (job.revision if by_revision else job.timetable_rev) and head not in job.slots
        ahead = job.nominal <= head or (job.owed is not None and job.owed.start <= head <= job.owed.through)
        if stale and (not ahead or self.mutant == "stale-first"):
            return Step(f"release supersedes {head}", superseded(done, head))
        if ahead:
            return Step(f"release leaves {head} to the claim path", done)
        to = refreshed(s, head, job.revision)._replace(release=at._replace(step="look", record=None))
        return Step(f"release refreshes {head} to {job.revision}", to)

    def _admit(self, s: State, at: Release) -> Step:
        same = s.job == at.job
        if self.mutant == "admission-ignores-edit":
            same = s.job.slots == at.job.slots
        if not same:
            return Step(f"release may not admit {at.head}", s._replace(release=Release()))
        admitted = s.job._replace(slots=(at.head,))
        return Step(f"release admits {at.head}", s._replace(job=admitted, release=Release("mark", at.head)))

    # -- workers

    def _worker(self, s: State) -> Iterator[Step]:
        for head in s.broker:
            record = s.records[head - 1]
            to = s._replace(broker=tuple(other for other in s.broker if other != head))
            if record is None or record.state != DISPATCHED:
                yield Step(f"{head} may not begin", to)
                continue
            old = record.revision < s.answered
            to = record_to(to, head, record._replace(state=RAN))
            yield Step(f"{head} runs, revision {record.revision}", to, broken=("old arguments",) if old else ())
        for head, record in enumerate(s.records, 1):
            if record is not None and record.state == DISPATCHED and head not in s.broker:
                yield Step(f"the sweep publishes {head} again", sent(s, head))

    # -- editors: read, change, settle what is owed, freshen what has not begun, answer

    def _editor(self, s: State, index: int) -> Iterator[Step]:
        editor, who = s.editors[index], f"editor {index}"
        if editor.step == "idle":
            if editor.script:
                yield self._read(s, index)
            return
        if s.crashes:
            gone = Editor(editor.script[1:])
            yield Step(f"{who} dies", editor_to(s._replace(crashes=s.crashes - 1), index, gone), fault=True)
        if editor.step == "insert":
            to = record_to(s, editor.job.nominal, Record(min(s.now, INSTANTS), 1, SUPERSEDED))
            yield Step(f"{who} inserts superseded", editor_to(to, index, editor._replace(step="change")))
        elif editor.step == "change":
            yield self._change(s, index)
        elif editor.step == "settle":
            yield self._settle(s, index)
        elif editor.step == "list":
            yield self._list(s, index)
        else:
            yield self._freshen(s, index)

    def _read(self, s: State, index: int) -> Step:
        editor, job = s.editors[index], s.job
        step = "change"
        if job.owed is not None and self.mutant != "edit-overwrites-owed":
            step = "settle"
        elif self.mutant == "settle-before-change" and job.nominal <= min(s.now, INSTANTS):
            step = "insert" if s.records[job.nominal - 1] is None else "change"
        head = job.owed.start if job.owed is not None else 0
        seen = Editor(editor.script, step, job, head)
        return Step(f"editor {index} reads the job", editor_to(s, index, seen))

    def _change(self, s: State, index: int) -> Step:
        editor, job = s.editors[index], s.job
        if job != editor.job:
            return Step(f"editor {index} was too slow", editor_to(s, index, Editor(editor.script)))
        changed = job._replace(revision=job.revision + 1)
        due = min(s.now, INSTANTS)
        if editor.script[0] == "change":
            s = s._replace(changed_at=due)
            changed = changed._replace(timetable_rev=changed.revision, nominal=max(job.nominal, due + 1))
            if due >= job.nominal:
                changed = changed._replace(owed=Owed(job.nominal, due, job.slots))
        to = s if self.mutant == "edit-keeps-claim" else without_claims(s)
        head = changed.owed.start if changed.owed is not None else 1
        step = "list" if changed.owed is None else "settle"
        after = Editor(editor.script, step, changed, head, own=True)
        if self.mutant == "owed-not-in-job":
            changed = changed._replace(owed=None)
        return Step(f"editor {index}: {editor.script[0]}", editor_to(to._replace(job=changed), index, after))

    def _settle(self, s: State, index: int) -> Step:
        """Settle what the job as read owes; if that was an earlier edit's, read the job again afterwards."""
        editor, owed = s.editors[index], s.editors[index].job.owed
        if owed is not None and editor.head <= owed.through:
            to, head = settled_at(s, editor.job, editor.head)
            return Step(f"editor {index} settles {editor.head}", editor_to(to, index, editor._replace(head=head)))
        to = s
        if s.job.owed is not None and s.job._replace(slots=()) == editor.job._replace(slots=()):
            cleared = s.job._replace(nominal=max(s.job.nominal, editor.head), owed=None)
            to = without_claims(s._replace(job=cleared))
        after = editor._replace(step="list", head=1) if editor.own else Editor(editor.script)
        return Step(f"editor {index} clears what was owed", editor_to(to, index, after))

    def _list(self, s: State, index: int) -> Step:
        editor = s.editors[index]
        if editor.head > INSTANTS:
            done = editor_to(s, index, Editor(editor.script[1:]))
            answered = max(s.answered, editor.job.revision)
            return Step(f"editor {index} answers", done._replace(answered=answered))
        record = s.records[editor.head - 1]
        if record is None or record.state not in OPEN or record.revision >= editor.job.revision:
            return Step(
                f"editor {index} leaves {editor.head}", editor_to(s, index, editor._replace(head=editor.head + 1))
            )
        seen = editor._replace(step="freshen", record=record)
        return Step(f"editor {index} sees {editor.head} {record.state}", editor_to(s, index, seen))

    def _freshen(self, s: State, index: int) -> Step:
        """Give a record the new definition, or end it where the edit took its instant away."""
        editor, job, record = s.editors[index], s.editors[index].job, s.editors[index].record
        head = editor.head
        to = editor_to(s, index, editor._replace(step="list", head=head + 1, record=None))
        stale = record is not None and record.state == PENDING and record.revision < job.timetable_rev
        if stale and job.nominal > head and head not in job.slots:
            return Step(f"editor {index} supersedes {head}", superseded(to, head))
        if self.mutant == "refresh-unadmitted-only" and head in job.slots:
            return Step(f"editor {index} leaves {head}", to)
        return Step(f"editor {index} refreshes {head}", refreshed(to, head, job.revision))

    # -- what must hold

    def broken(self, before: State, after: State) -> Iterator[str]:
        covered = [0] * (INSTANTS + 1)
        for head, record in enumerate(after.records, 1):
            old = before.records[head - 1]
            if old is not None and old.state not in OPEN and (record is None or record.state != old.state):
                yield "final state left"
            if record is None:
                continue
            for instant in range(head, record.through + 1):
                covered[instant] += 1
            if record.state == SUPERSEDED and record.through > after.changed_at:
                yield "lost"
        if max(covered) > 1:
            yield "covered twice"
        owed = after.job.owed
        for instant in range(1, min(INSTANTS + 1, after.job.nominal)):
            promised = owed is not None and owed.start <= instant <= owed.through
            if not covered[instant] and not promised and not self._known_to_editor(after, instant):
                yield "gap"

    def _known_to_editor(self, s: State, instant: int) -> bool:
        """Return whether, in the mutant that keeps what is owed to itself, a living editor still knows of it."""
        if self.mutant != "owed-not-in-job":
            return False
        owing = (editor.job.owed for editor in s.editors if editor.own)
        return any(owed is not None and owed.start <= instant <= owed.through for owed in owing)

    def settled(self, state: State) -> bool:
        return (
            state.now == INSTANTS
            and state.job.nominal > INSTANTS
            and state.job.owed is None
            and all(node.step == "idle" for node in state.nodes)
            and state.release.step == "idle"
            and all(editor.step == "idle" for editor in state.editors)
            and not state.broker
            and all(record is None or record.state not in OPEN for record in state.records)
        )

    def canon(self, state: State) -> State:
        """Nodes are alike, and so are editors."""
        if len(state.nodes) > 1 and _node_key(state.nodes[1]) < _node_key(state.nodes[0]):
            state = state._replace(nodes=state.nodes[::-1])
        if len(state.editors) > 1 and _editor_key(state.editors[1]) < _editor_key(state.editors[0]):
            state = state._replace(editors=state.editors[::-1])
        return state


def _job_key(job: Job) -> tuple[object, ...]:
    return (*job[:3], job.owed or (), job.slots)


def _node_key(node: Node) -> tuple[object, ...]:
    return (*node[:2], _job_key(node.job), *node[3:])


def _editor_key(editor: Editor) -> tuple[object, ...]:
    return (*editor[:2], _job_key(editor.job), editor.head, editor.record or (), editor.own)
