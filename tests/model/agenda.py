"""The agenda: one document a tenant that says when something is due there next; early at times, never late.

Writers bump ``{$min: next, $inc: seq}`` before and after the job write.  Claimers read ``seq``, look at the jobs one by
one (a find is no snapshot), claim, advance, and then raise by compare-and-set on the ``seq`` they read at first: to the
least of what they saw of the other jobs and the new instant of the job they advanced, without a second look.  A claimed
job counts as its nominal, so an advance needs no bump.  A slow full look repairs what a crash left.

How state is cut short: ``seq`` is not a number; each claimer keeps "not bumped since I read it".  *Late* means: the
agenda is later than the least of (claimed ? end of the claim : next).  It is excused between a job write and its second
bump if a claimer raised in between, which the first bump cannot prevent; and when the writer dies there, until a full
look that began later has ended.
"""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from tests.model.explore import Model, Step, put

NEVER = 9
HORIZON = 6
LEASE = 3


class Job(NamedTuple):
    """``left``: how often it still fires; ``until``: end of its claim, 0 without one; ``owner``: who claimed it."""

    next: int
    left: int
    until: int = 0
    owner: int = -1


class Writer(NamedTuple):
    """``raced``: a claimer raised while this writer was at work."""

    step: str
    job: int
    at: int
    left: int
    raced: bool = False


class Claimer(NamedTuple):
    """``fresh``: nobody has bumped since this one read ``seq``; ``seen``: the least instant of the other jobs."""

    step: str = "idle"
    fresh: bool = False
    read: int = 0
    job: int = 0
    seen: int = NEVER
    due: int = -1


class State(NamedTuple):
    now: int
    next: int
    jobs: tuple[Job, ...]
    writers: tuple[Writer, ...]
    claimers: tuple[Claimer, ...]
    full: tuple[int, int] | None = None
    """The full look: the job it sees next, and the least instant it has seen."""
    excuse: str = ""
    """A writer died between its two bumps: "died", then "looking" from when a full look began."""
    crashes: int = 0


class Agenda(Model):
    """See the module; ``writers``: 0 adds a job that fires twice, 1 brings another one's instant nearer."""

    MUTANTS: ClassVar = {
        "compares-next": "the raise compares next instead of seq",
        "one-bump-before": "writers bump before the job write only",
        "one-bump-after": "writers bump after the job write only",
        "claimed-jobs-skipped": "a claimer does not count claimed jobs",
        "claimed-counts-as-lease-end": "a claimed job counts as the end of its claim, and advancing does not bump",
        "own-bucket-only": "a claimer looks at its own bucket and raises for all",
        "seq-read-after-look": "seq is read after the look",
        "seq-read-after-advance": "seq is read again after the advance, the look is from before",
        "forgets-own-job": "the claimer raises to what it saw of the others, its own job left out",
        "raises-after-lost-claim": "a claimer whose claim was refused raises as if it had what it saw due",
        "believes-refused-advance": "a claimer whose advance was refused counts the instant it had planned",
        "full-look-leaves-seq": "the full look lowers next without changing seq",
        "no-full-look": "nobody looks at everything now and then",
    }

    def __init__(
        self,
        mutant: str | None = None,
        *,
        writers: tuple[int, ...] = (0, 1),
        claimers: int = 2,
        crashes: int = 1,
        raise_bumps: bool = False,
    ) -> None:
        super().__init__(mutant)
        self.writers, self.claimers, self.crashes, self.raise_bumps = writers, claimers, crashes, raise_bumps

    def start(self) -> State:
        both = (Writer("bump", 0, 2, 2), Writer("bump", 1, 1, 1))
        writers = tuple(writer if i in self.writers else writer._replace(step="done") for i, writer in enumerate(both))
        jobs = (Job(NEVER, 0), Job(4, 1))
        return State(0, 4, jobs, writers, (Claimer(),) * self.claimers, crashes=self.crashes)

    def steps(self, state: State) -> Iterator[Step]:
        if state.now < HORIZON:
            yield Step("time passes", state._replace(now=state.now + 1))
        for index in range(len(state.writers)):
            yield from self._writer(state, index)
        for index in range(len(state.claimers)):
            yield from self._claimer(state, index)
        if self.mutant != "no-full-look":
            yield from self._full_look(state)

    # -- writers: bump, write the job, bump

    def _writer(self, s: State, index: int) -> Iterator[Step]:
        writer, who = s.writers[index], f"writer {index}"
        if writer.step == "bump":
            bumped = s if self.mutant == "one-bump-after" else _bump(s, writer.at)
            yield Step(f"{who} bumps", _writer_to(bumped, index, writer._replace(step="write")))
        elif writer.step == "write":
            job = s.jobs[writer.job]
            if index == 1 and (not job.left or job.next <= writer.at):
                yield Step(f"{who} has nothing to change", _writer_to(s, index, writer._replace(step="done")))
            else:
                written = s._replace(jobs=put(s.jobs, writer.job, Job(writer.at, writer.left)))
                yield Step(f"{who} writes job {writer.job}", _writer_to(written, index, writer._replace(step="again")))
        elif writer.step == "again":
            bumped = s if self.mutant == "one-bump-before" else _bump(s, writer.at)
            yield Step(f"{who} bumps again", _writer_to(bumped, index, writer._replace(step="done")))
        if writer.step in ("write", "again") and s.crashes:
            raced = writer.raced or any(claimer.step != "idle" for claimer in s.claimers)
            dead = _writer_to(s._replace(crashes=s.crashes - 1), index, writer._replace(step="done"))
            excuse = "died" if writer.step == "again" and raced else s.excuse
            yield Step(f"{who} dies", dead._replace(excuse=excuse), fault=True)

    # -- claimers: read seq, look, claim, advance, raise

    def _claimer(self, s: State, index: int) -> Iterator[Step]:
        claimer, who = s.claimers[index], f"claimer {index}"
        if claimer.step == "idle":
            if s.next <= s.now:
                yield Step(f"{who} reads {s.next} and seq", _to(s, index, Claimer("look", True, s.next)))
            return
        if s.crashes:
            yield Step(f"{who} dies", _to(s._replace(crashes=s.crashes - 1), index, Claimer()), fault=True)
        if claimer.step == "look":
            yield self._look(s, index)
        elif claimer.step == "claim":
            yield self._claim(s, index)
        elif claimer.step == "advance":
            yield self._advance(s, index)
        else:
            yield self._raise(s, index)

    def _look(self, s: State, index: int) -> Step:
        claimer = s.claimers[index]
        at = claimer.job
        if claimer.due < 0 and _claimable(s, at):
            claimer = claimer._replace(due=at)
        elif self.mutant != "own-bucket-only" or at == index:
            claimer = claimer._replace(seen=min(claimer.seen, self._counts(s.jobs[at])))
        if at + 1 < len(s.jobs):
            claimer = claimer._replace(job=at + 1)
        elif claimer.due >= 0:
            claimer = claimer._replace(step="claim", job=0)
        else:
            claimer = self._to_raise(claimer, NEVER, fresh=self.mutant == "seq-read-after-look")
        return Step(f"claimer {index} sees job {at} {tuple(s.jobs[at])}", _to(s, index, claimer))

    def _counts(self, job: Job) -> int:
        """Return the instant as which a job counts."""
        if not job.left or (job.until and self.mutant == "claimed-jobs-skipped"):
            return NEVER
        return job.until if job.until and self.mutant == "claimed-counts-as-lease-end" else job.next

    def _to_raise(self, claimer: Claimer, own: int, *, fresh: bool) -> Claimer:
        seen = claimer.seen if self.mutant == "forgets-own-job" else min(claimer.seen, own)
        return Claimer("raise", claimer.fresh or fresh, claimer.read, 0, seen)

    def _claim(self, s: State, index: int) -> Step:
        claimer, who = s.claimers[index], f"claimer {index}"
        if not _claimable(s, claimer.due):
            after = (
                self._to_raise(claimer, NEVER, fresh=False) if self.mutant == "raises-after-lost-claim" else Claimer()
            )
            return Step(f"{who} is refused job {claimer.due}", _to(s, index, after))
        until = min(s.now + LEASE, HORIZON)  # so that every claim ends within the time that the model has
        job = s.jobs[claimer.due]._replace(until=until, owner=index)
        # From here on ``read`` is of no use; ``job`` is the nominal that was claimed.
        claimed = claimer._replace(step="advance", job=job.next)
        to = _to(s._replace(jobs=put(s.jobs, claimer.due, job)), index, claimed)
        return Step(f"{who} claims job {claimer.due} until {until}", to)

    def _advance(self, s: State, index: int) -> Step:
        claimer, job = s.claimers[index], s.jobs[s.claimers[index].due]
        following = job.next + 1 if job.left > 1 else NEVER
        if not job.until or job.owner != index:
            own = following if self.mutant == "believes-refused-advance" else claimer.job
            to = _to(s, index, self._to_raise(claimer, own, fresh=False))
            return Step(f"claimer {index} may not advance job {claimer.due}", to)
        moved = s._replace(jobs=put(s.jobs, claimer.due, Job(following, job.left - 1)))
        to = _to(moved, index, self._to_raise(claimer, following, fresh=self.mutant == "seq-read-after-advance"))
        return Step(f"claimer {index} advances job {claimer.due} to {following}", to)

    def _raise(self, s: State, index: int) -> Step:
        claimer, who = s.claimers[index], f"claimer {index}"
        if not (s.next == claimer.read if self.mutant == "compares-next" else claimer.fresh):
            return Step(f"{who} may not raise", _to(s, index, Claimer()))
        writers = tuple(w._replace(raced=True) if w.step in ("write", "again") else w for w in s.writers)
        raised = s._replace(next=claimer.seen, writers=writers)
        raised = _bump(raised, claimer.seen) if self.raise_bumps else raised
        return Step(f"{who} raises to {claimer.seen}", _to(raised, index, Claimer()))

    # -- the full look

    def _full_look(self, s: State) -> Iterator[Step]:
        if s.full is None:
            if s.excuse:
                yield Step("a full look begins", s._replace(full=(0, NEVER), excuse="looking"))
            return
        at, seen = s.full
        if at < len(s.jobs):
            seen = min(seen, self._counts(s.jobs[at]))
            yield Step(f"the full look sees job {at}", s._replace(full=(at + 1, seen)))
        else:
            silent = self.mutant == "full-look-leaves-seq"
            done = s._replace(next=min(s.next, seen)) if silent else _bump(s, seen)
            excuse = "" if s.excuse == "looking" else s.excuse
            yield Step("the full look bumps", done._replace(full=None, excuse=excuse))

    # -- what must hold

    def broken(self, before: State, after: State) -> tuple[str, ...]:
        truth = min((job.until or job.next) if job.left else NEVER for job in after.jobs)
        excused = after.excuse or any(writer.step == "again" and writer.raced for writer in after.writers)
        return ("late",) if after.next > truth and not excused else ()

    def settled(self, state: State) -> bool:
        return (
            state.now == HORIZON
            and state.full is None
            and all(writer.step == "done" for writer in state.writers)
            and all(claimer.step == "idle" for claimer in state.claimers)
            and not any(job.left for job in state.jobs)
        )

    def canon(self, state: State) -> State:
        """Claimers are alike, but for their buckets; a writer that is done is not looked at again."""
        done = tuple(Writer("done", 0, 0, 0) if writer.step == "done" else writer for writer in state.writers)
        state = state._replace(writers=done)
        if len(state.claimers) == 2 and state.claimers[1] < state.claimers[0] and self.mutant != "own-bucket-only":
            jobs = tuple(job if job.owner < 0 else job._replace(owner=1 - job.owner) for job in state.jobs)
            return state._replace(claimers=state.claimers[::-1], jobs=jobs)
        return state


def _claimable(s: State, index: int) -> bool:
    job = s.jobs[index]
    return job.left > 0 and (job.until or job.next) <= s.now


def _bump(s: State, at: int) -> State:
    claimers = tuple(claimer._replace(fresh=False) for claimer in s.claimers)
    return s._replace(next=min(s.next, at), claimers=claimers)


def _writer_to(s: State, index: int, writer: Writer) -> State:
    return s._replace(writers=put(s.writers, index, writer))


def _to(s: State, index: int, claimer: Claimer) -> State:
    return s._replace(claimers=put(s.claimers, index, claimer))
