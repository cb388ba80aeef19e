"""A message that reaches a worker which drains: nothing begins, and the firing is handed over anew at once."""

from collections.abc import Callable
from typing import Any

from jobstore.events import FiringBegun, MessageDropped
from jobstore.firing import Firing
from tests.support.manual import START, ManualCluster
from workers import wire
from workers.execute import Executor
from workers.limits import Limits
from workers.live import Interrupts, Live


class Targets:
    """Every firing calls the same function."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def resolve(self, firing: Firing) -> Callable[[], Any]:
        return lambda: self.called.append(firing.id)


def test_it_is_passed_on_and_runs_once_elsewhere(cluster: ManualCluster):
    acme = cluster.tenant("acme")
    cluster.job(acme, "tick", {"every": "3600s", "start": START.isoformat()})
    cluster.claim()
    (message,) = cluster.broker.messages
    targets, interrupts = Targets(), Interrupts(TimeoutError)
    executor = Executor(
        store=cluster.store,
        targets=targets,
        live=Live(),
        interrupts=interrupts,
        limits=Limits(interrupts, cluster.clock, None),
        worker="worker-1",
    )
    order = wire.encode(message, cluster.store.message_key())
    executor.draining.set()
    executor.run(order)
    (firing,) = cluster.firings(acme)
    assert (firing.state, firing.attend_at) == ("dispatched", START), (
        "not in a minute, when nodes would look by themselves"
    )
    assert cluster.seen(MessageDropped) == [MessageDropped(firing.id, "draining")]
    assert (targets.called, cluster.seen(FiringBegun)) == ([], [])
    cluster.sweep()
    assert [one.firing for one in cluster.broker.messages] == [firing.id, firing.id]
    executor.draining.clear()
    for _ in range(2):
        executor.run(order)
    assert targets.called == [firing.id]
