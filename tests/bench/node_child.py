"""A scheduler node for measuring: the real one, told when to begin, with what it saw at the end."""

import json
import sys
from datetime import timedelta

from cluster.node import Node
from cluster.policy import NodePolicy
from jobstore.events import Event, Events, FiringReleased
from jobstore.runtime import Runtime
from jobstore.store import open_store
from workers.sender import open_broker_epoch, open_sender


def main() -> None:
    """Run a node: ``node_child MONGO BROKER NAME``."""
    mongo_url, broker_url, name = sys.argv[1:4]
    lateness: list[float] = []
    counts: dict[str, int] = {}

    def listen(event: Event) -> None:
        kind = type(event).__name__
        counts[kind] = counts.get(kind, 0) + 1
        if isinstance(event, FiringReleased):
            lateness.append(event.lateness)

    runtime = Runtime(events=Events(listen))
    store = open_store(mongo_url, control="bench", runtime=runtime, name=name)
    node = Node(
        store=store,
        sender=open_sender(broker_url, store.message_key()),
        broker=open_broker_epoch(broker_url, runtime.ids),
        policy=NodePolicy(),
        name=name,
        boot=runtime.ids.token(),
        about={},
    )
    store.ensure()
    node.refresh()
    node.heartbeat()
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    node.sweep.meet_nodes()
    node.start()
    while sys.stdin.readline().strip() == "forget":
        lateness.clear()
        counts.clear()
    print(json.dumps({"lateness": sorted(lateness), "counts": counts}), flush=True)  # noqa: T201
    node.stop(timedelta(seconds=1))


if __name__ == "__main__":
    main()
