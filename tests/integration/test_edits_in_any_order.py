"""Edits, pauses, manual firings, claims and crashes in any order, and what holds whatever happens."""

import random
from collections.abc import Iterator

import pytest

from cluster.operations import stopping, tenants
from cluster.operations.triggering import trigger
from jobstore.clock import to_posix
from jobstore.lifecycle import FINAL
from tests.support.manual import ManualCluster
from tests.support.operating import (
    ZERO,
    Between,
    Crash,
    acme_of,
    document,
    every,
    overlaps,
    put,
    settle_down,
)


@pytest.fixture
def between() -> Between:
    return Between()


@pytest.fixture
def stepped(mongo_url: str, database_name: str, between: Between) -> Iterator[ManualCluster]:
    made = ManualCluster(mongo_url, database_name, points=between)
    tenants.create(made.store, "acme")
    yield made
    made.close()


class Chaos:
    """Random acts, other acts inside them at the crash points, crashes; and what must hold whatever happens."""

    PERIODS = (5, 6, 10, 30)

    def __init__(self, cluster: ManualCluster, seed: int) -> None:
        self.cluster = cluster
        self.rng = random.Random(seed)
        self.depth = 0
        self.period = 10
        self.value = 0
        self.answered = 0
        self.stopped = False
        self.log: list[str] = []
        self.timetables: list[tuple[float, str]] = []
        self.begun: list[tuple[str, int]] = []
        self.policy: dict[str, str] = [
            {},
            {"catch_up": "all"},
            {"catch_up": "all", "overlap": "buffer_one"},
            {"overlap": "buffer_one"},
        ][seed % 4]

    def reach(self, name: str) -> None:
        if self.depth >= 3 or self.rng.random() > 0.25:
            return
        if self.rng.random() < 0.3:
            self.log.append(f"crash at {name}")
            raise Crash(name)
        self.act()

    def act(self) -> None:
        self.depth += 1
        name = self.rng.choice(["claim", "claim", "release", "sweep", "edit", "change", "pause", "resume", "trigger"])
        self.log.append(f"{'  ' * self.depth}{name}")
        try:
            getattr(self, name)()
        except Crash:
            if self.depth > 1:
                raise
        finally:
            self.depth -= 1

    def now(self) -> float:
        return to_posix(self.cluster.clock.now()) - ZERO

    def look(self) -> None:
        """Note since when the job has the timetable it has; the clock stands still while somebody acts."""
        period = document(self.cluster)["spec"]["trigger"]["every"]
        if not self.timetables or self.timetables[-1][1] != period:
            self.timetables.append((self.now(), period))

    def due(self) -> set[float]:
        """Return every instant that the job has owed so far."""
        ends = [since for since, _ in self.timetables[1:]] + [self.now()]
        found: set[float] = set()
        for (since, period), until in zip(self.timetables, ends, strict=True):
            step = float(period.removesuffix("s"))
            found |= {n * step for n in range(int(until / step) + 1) if since < n * step <= until}
        return found

    def claim(self) -> None:
        node = self.rng.choice(["node-a", "node-b"])
        self.cluster.claim(node, nodes=(node,))

    def release(self) -> None:
        self.cluster.release(self.rng.choice(["node-a", "node-b"]))

    def sweep(self) -> None:
        self.cluster.sweep(self.rng.choice(["node-a", "node-b"]))

    def _put(self, period: int) -> None:
        self.value += 1
        result = put(self.cluster, every(period, kwargs={"n": self.value}, **self.policy))
        self.answered = max(self.answered, result.job.revision)

    def edit(self) -> None:
        self._put(int(document(self.cluster)["spec"]["trigger"]["every"].removesuffix("s")))

    def change(self) -> None:
        self._put(self.rng.choice(self.PERIODS))

    def pause(self) -> None:
        stopping.pause(self.cluster.store, "acme", "tick")
        self.stopped = document(self.cluster)["state"] == "paused"

    def resume(self) -> None:
        self.stopped = False
        stopping.resume(self.cluster.store, "acme", "tick")
        self.stopped = False

    def trigger(self) -> None:
        trigger(self.cluster.store, "acme", "tick")

    def deliver(self) -> None:
        """Let some of the messages arrive, in any order."""
        kept = self.cluster.broker.messages
        self.rng.shuffle(kept)
        count = self.rng.randrange(len(kept) + 1)
        self.cluster.broker.messages, late = kept[:count], kept[count:]
        for firing in self.cluster.deliver():
            assert firing.snapshot.revision >= self.answered, self.log
            assert not self.stopped or firing.kind == "manual", self.log
            self.begun.append((firing.id, firing.attempt))
        self.cluster.broker.messages = late


@pytest.mark.parametrize("seed", range(20))
def test_edits_pauses_and_crashes_in_any_order_lose_nothing_and_begin_nothing_old(
    stepped: ManualCluster, between: Between, seed: int
):
    chaos = Chaos(stepped, seed)
    put(stepped, every(10, kwargs={"n": 0}, **chaos.policy))
    chaos.look()
    between.reach = chaos.reach  # type: ignore[method-assign]
    for _ in range(25):
        chaos.act()
        chaos.look()
        chaos.deliver()
        stepped.advance(chaos.rng.choice([0, 0, 1, 3, 11]))
    chaos.depth = 99  # from now on nothing happens in between
    chaos.resume()
    settle_down(stepped, 120)
    stepped.claim()
    chaos.deliver()
    found = stepped.firings(acme_of(stepped))
    assert not overlaps(found), chaos.log
    scheduled = [f for f in found if f.kind == "scheduled"]
    for instant in chaos.due():
        covering = [f for f in scheduled if f.covers.start <= ZERO + instant <= f.covers.through]
        assert len(covering) == 1, (instant, chaos.timetables, chaos.log)
    assert len(set(chaos.begun)) == len(chaos.begun)
    still_open = [f for f in found if f.state not in FINAL and f.nominal - ZERO < chaos.now() - 60]
    assert not still_open, chaos.log
    assert "owed" not in document(stepped)
