"""The window of a pool: it bounds what is handed over and not begun, starves no tenant and leaks no place.

Occupancy is counted in the ledger: what is dispatched and has not begun.  Each node has its share of the window, counts
what it marked itself, remembers the count for a while, and adds what it marks meanwhile.  Every tenant may have ``own``
places beyond the window.  A full window stops no claim: the instants are recorded and wait.

Firings of one tenant are alike, so they are numbers here.  With ``stuck`` nothing of tenant 0 is ever certain to begin:
then tenant 1 must get on all the same, which is what starving nobody means.
"""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from tests.model.explore import Model, Step, put


class Open(NamedTuple):
    """Dispatched and not begun, of one tenant by one node: with a message under way, and without one."""

    queued: int = 0
    silent: int = 0


class Node(NamedTuple):
    """``places``: left of its share as counted; ``own``: left of each tenant's places beyond the window."""

    step: str = "idle"
    places: int = 0
    own: tuple[int, ...] = ()
    tenant: int = 0


class State(NamedTuple):
    due: tuple[int, ...]
    waiting: tuple[int, ...]
    open: tuple[tuple[Open, ...], ...]
    """By tenant, by the node that marked."""
    nodes: tuple[Node, ...]
    counter: int
    """Only the mutant that keeps one uses it."""
    crashes: int
    losses: int


class Window(Model):
    """See the module; ``firings``: how many each tenant has due."""

    MUTANTS: ClassVar = {
        "no-own-places": "a tenant has no place beyond the window",
        "own-places-shared": "the places beyond the window are anybody's",
        "full-stops-claiming": "a node whose share is used up claims nothing",
        "counter": "places are taken from and given back to a counter, not counted in the ledger",
        "counts-messages": "what has no message under way takes no place",
        "whole-window-each": "every node fills the whole window",
        "counts-once": "a node never counts again",
        "marks-not-added": "a node does not add what it marked since it counted",
        "no-republish": "nobody publishes again what was dispatched and never begun",
    }

    def __init__(
        self,
        mutant: str | None = None,
        *,
        firings: tuple[int, ...] = (5, 2),
        window: int = 2,
        own: int = 1,
        nodes: int = 2,
        crashes: int = 1,
        losses: int = 1,
        stuck: bool = False,
    ) -> None:
        super().__init__(mutant)
        self.firings, self.window, self.nodes, self.stuck = firings, window, nodes, stuck
        self.own = 0 if mutant == "no-own-places" else own
        self.crashes, self.losses = crashes, losses

    def start(self) -> State:
        none = (0,) * len(self.firings)
        empty = ((Open(),) * self.nodes,) * len(self.firings)
        return State(self.firings, none, empty, (Node(),) * self.nodes, 0, self.crashes, self.losses)

    def steps(self, state: State) -> Iterator[Step]:
        for index, node in enumerate(state.nodes):
            if node.step == "dead":
                continue
            yield from self._node(state, index)
            if state.crashes and sum(other.step != "dead" for other in state.nodes) > 1:
                dead = put(state.nodes, index, Node("dead"))
                yield Step(f"node {index} dies", state._replace(nodes=dead, crashes=state.crashes - 1), fault=True)
        for tenant, by_node in enumerate(state.open):
            for index, open_ in enumerate(by_node):
                yield from self._messages(state, tenant, index, open_)

    # -- nodes: claim, count, mark, publish

    def _node(self, s: State, index: int) -> Iterator[Step]:
        node, who = s.nodes[index], f"node {index}"
        if node.step == "publish":
            to = _node_to(s, index, node._replace(step="release", tenant=0))
            there = s.open[node.tenant][index]
            if there.silent:  # unless a sweep was quicker
                to = _open_to(to, node.tenant, index, Open(there.queued + 1, there.silent - 1))
            yield Step(f"{who} publishes for {node.tenant}", to)
            return
        if node.step == "reserved":
            yield self._mark(s, index, node.tenant)
            return
        for tenant, count in enumerate(s.due):
            if count and not (self.mutant == "full-stops-claiming" and self._counted(s, index).places <= 0):
                recorded = s._replace(due=put(s.due, tenant, count - 1))
                recorded = recorded._replace(waiting=put(s.waiting, tenant, s.waiting[tenant] + 1))
                yield Step(f"{who} claims and records for {tenant}", recorded)
        if node.step == "idle" or self.mutant != "counts-once":
            counted = self._counted(s, index)
            if counted != node:
                yield Step(f"{who} counts {counted.places} places, {counted.own} beyond", _node_to(s, index, counted))
        if node.step == "release":
            yield from self._release(s, index, node)

    def _counted(self, s: State, index: int) -> Node:
        """Count in the ledger what this node marked, and what each tenant has open."""
        living = sum(node.step != "dead" for node in s.nodes)
        share = self.window if self.mutant == "whole-window-each" else self.window // living
        mine = sum(self._occupies(by_node[index]) for by_node in s.open)
        places = share - mine
        if self.mutant == "counter":
            places = self.window - s.counter
        own = tuple(self.own - sum(map(self._occupies, by_node)) for by_node in s.open)
        if self.mutant == "own-places-shared":
            own = (self.own - max(0, sum(self.own - left for left in own) - self.window),) * len(own)
        return Node("release", max(0, places), tuple(max(0, left) for left in own))

    def _occupies(self, open_: Open) -> int:
        return open_.queued if self.mutant == "counts-messages" else open_.queued + open_.silent

    def _release(self, s: State, index: int, node: Node) -> Iterator[Step]:
        for tenant, count in enumerate(s.waiting):
            if not count or not (node.places or node.own[tenant]):
                continue
            if self.mutant == "counter" and node.places:
                reserved = _node_to(s, index, node._replace(step="reserved", tenant=tenant))
                yield Step(f"node {index} reserves a place", reserved._replace(counter=s.counter + 1))
            else:
                yield self._mark(s, index, tenant)

    def _mark(self, s: State, index: int, tenant: int) -> Step:
        node, there = s.nodes[index], s.open[tenant][index]
        if not s.waiting[tenant]:
            return Step(f"node {index} finds nothing to mark", _node_to(s, index, Node()))
        to = s._replace(waiting=put(s.waiting, tenant, s.waiting[tenant] - 1))
        to = _open_to(to, tenant, index, there._replace(silent=there.silent + 1))
        after = node._replace(step="publish", tenant=tenant)
        if self.mutant != "marks-not-added":
            shared = self.mutant == "own-places-shared"
            own = tuple(max(0, left - (shared or other == tenant)) for other, left in enumerate(node.own))
            after = after._replace(places=max(0, node.places - 1), own=own)
        return Step(f"node {index} marks for {tenant}", _node_to(to, index, after))

    # -- messages: begun, lost, published again by any sweep

    def _messages(self, s: State, tenant: int, index: int, open_: Open) -> Iterator[Step]:
        if open_.queued:
            begun = _open_to(s, tenant, index, open_._replace(queued=open_.queued - 1))
            begun = begun._replace(counter=max(0, s.counter - 1) if self.mutant == "counter" else 0)
            yield Step(f"one of {tenant} begins", begun, fault=self.stuck and tenant == 0)
            if s.losses:
                lost = _open_to(s, tenant, index, Open(open_.queued - 1, open_.silent + 1))
                yield Step(f"a message of {tenant} is lost", lost._replace(losses=s.losses - 1), fault=True)
        if open_.silent and self.mutant != "no-republish":
            again = _open_to(s, tenant, index, Open(open_.queued + 1, open_.silent - 1))
            yield Step(f"one of {tenant} is published again", again)

    # -- what must hold

    def broken(self, before: State, after: State) -> Iterator[str]:
        total = sum(_size(by_node) for by_node in after.open)
        if total > self.bound():
            yield "overfull"
        reserving = sum(node.step == "reserved" for node in after.nodes)
        if self.mutant == "counter" and after.counter > total + reserving:
            yield "leaked"

    def bound(self) -> int:
        """Return how much can be open: the window, what dead nodes left of their shares, and what is beyond.

        The first tenant's own places lie within the window; nodes that count at the same time may each give any other
        tenant its places beyond it.
        """
        left_by_dead = self.crashes * (self.window // self.nodes)
        return self.window + left_by_dead + self.own * self.nodes * (len(self.firings) - 1)

    def settled(self, state: State) -> bool:
        tenants = range(1 if self.stuck else 0, len(self.firings))
        return not any(state.due[t] or state.waiting[t] or _size(state.open[t]) for t in tenants)

    def canon(self, state: State) -> State:
        """The nodes are alike."""
        if len(state.nodes) == 2:
            other = state._replace(open=tuple(by_node[::-1] for by_node in state.open), nodes=state.nodes[::-1])
            return min(state, other)
        return state


def _size(by_node: tuple[Open, ...]) -> int:
    return sum(open_.queued + open_.silent for open_ in by_node)


def _node_to(s: State, index: int, node: Node) -> State:
    return s._replace(nodes=put(s.nodes, index, node))


def _open_to(s: State, tenant: int, index: int, open_: Open) -> State:
    return s._replace(open=put(s.open, tenant, put(s.open[tenant], index, open_)))
