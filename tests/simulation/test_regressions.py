"""What schedules have found, told step by step."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.manual import START, ManualCluster


@dataclass
class Hooks:
    """Crash points that call something instead, once."""

    calls: dict[str, Callable[[], None]] = field(default_factory=dict)

    def reach(self, name: str) -> None:
        call = self.calls.pop(name, None)
        if call is not None:
            call()


def test_a_node_that_marks_too_late_repeats_its_own_messages_at_its_next_sweep(mongo_url: str, database_name: str):
    """It lives, so nobody hastens what it marked; the wait for a lost message would be a minute."""
    points = Hooks()
    cluster = ManualCluster(mongo_url, database_name, points=points)
    acme = cluster.tenant("acme")
    cluster.job(acme, "tick", {"every": "1h", "start": START.isoformat()})
    points.calls["mark.after"] = lambda: cluster.clock.advance(9)
    cluster.claim()
    assert cluster.broker.messages == []
    cluster.advance(1)
    cluster.sweep()
    assert len(cluster.deliver()) == 1
    assert [firing.state for firing in cluster.firings(acme)] == ["succeeded"]
    cluster.close()
