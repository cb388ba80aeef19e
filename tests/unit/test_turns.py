"""Whose turn it is: own tenants first, late ones by anybody, a hot tenant no more than its share."""

from datetime import UTC, datetime

from cluster.turns import Turns, preferred
from jobstore.agenda import Entry
from jobstore.tenant import Place, Tenant

NODES = ("node-a", "node-b", "node-c")


def a_tenant(name: str, weight: int = 1) -> Tenant:
    place = Place(uid=name, database="d", jobs=f"jobs.{name}", firings="firings")
    return Tenant(id=name, place=place, weight=weight, created_at=datetime(2026, 1, 1, tzinfo=UTC))


def order(
    turns: Turns, names: list[str], *, node: str = "node-a", nodes=("node-a",), late: float = 0.0, weight: int = 1
):
    due = [(Entry(name, 100.0 - late, 1), a_tenant(name, weight)) for name in names]
    return turns.order(due, node=node, nodes=nodes, now=100.0, help_after=2.0)


def test_each_tenant_has_exactly_one_preferred_node():
    names = [f"t{number}" for number in range(300)]
    served = [turn.entry.uid for node in NODES for turn in order(Turns(10), names, node=node, nodes=NODES)]
    assert sorted(served) == sorted(names)


def test_the_shares_of_the_nodes_are_about_equal():
    counts = [sum(preferred(f"t{number}", NODES) == node for number in range(3000)) for node in NODES]
    assert min(counts) > 800


def test_a_node_that_goes_moves_only_its_own_tenants():
    for number in range(300):
        before = preferred(f"t{number}", NODES)
        if before != "node-c":
            assert preferred(f"t{number}", ("node-a", "node-b")) == before


def test_a_late_tenant_is_served_by_whoever_comes():
    names = [f"t{number}" for number in range(30)]
    assert len(order(Turns(10), names, nodes=NODES, late=2.5)) == 30
    assert len(order(Turns(10), names, nodes=NODES, late=1.5)) < 30


def test_a_hot_tenant_gets_no_more_in_a_pass_than_twice_its_share():
    turns = Turns(10)
    for _ in range(50):
        turn = order(turns, ["hot"])[0]
        assert turn.budget <= 20
        turns.pay("hot", turn.budget)
    assert order(turns, ["hot", "cold"])[1].budget >= 10


def test_weight_multiplies_the_share():
    assert order(Turns(10), ["heavy"], weight=3)[0].budget == 30


def test_nothing_is_saved_up_while_nothing_is_due():
    turns = Turns(10)
    order(turns, ["idle"])
    order(turns, ["other"])
    assert order(turns, ["idle"])[0].budget == 10
