"""What the keys do: kill a node, restart it, kill a worker, pause a tenant's jobs."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from cluster.dev.child import View
from cluster.dev.supervisor import Supervisor
from cluster.dev.takeover import Death
from cluster.operations import stopping
from jobstore.errors import HorariumError
from jobstore.store import Store

_ALIVE: Final = ("starting", "ready", "frozen")
_DEAD: Final = ("killed", "crashed", "ended")


class Acts:
    """Does one thing after the other, away from the screen, and remembers who died and what is paused."""

    def __init__(self, supervisor: Supervisor, store: Store) -> None:
        self.deaths: list[Death] = []
        self.paused: dict[str, list[str]] = {}
        self.trouble = ""
        self._supervisor, self._store = supervisor, store
        self._seen: set[tuple[str, int]] = set()
        self._tenant: str | None = None
        self._serving: Mapping[str, int] = {}
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="acts")

    def meet(self, tenants: list[str], serving: Mapping[str, int]) -> None:
        """Take note of the tenants, the first of which can be paused, and of how many of them each node serves."""
        self._tenant = next(iter(self.paused), tenants[0] if tenants else None)
        self._serving = serving

    def labels(self) -> Mapping[str, str]:
        """Return what each key does now."""
        found = {}
        if node := self._first("node-"):
            found["k"] = f"kill {node.name}"
        if self.deaths and self._fallen() is not None:
            found["r"] = "restart it"
        if worker := self._first("worker-"):
            found["w"] = f"kill {worker.name}"
        if self._tenant is not None:
            name = self._tenant if len(self._tenant) <= 12 else "a tenant"
            found["p"] = f"{'resume' if self._tenant in self.paused else 'pause'} {name}"
        return found | {"q": "quit"}

    def press(self, key: str) -> None:
        """Do what ``key`` does, soon."""
        act = {
            "k": lambda: self.kill("node-"),
            "r": self.restart,
            "w": lambda: self.kill("worker-"),
            "p": self.pause_or_resume,
        }.get(key)
        if act is not None:
            self._worker.submit(self._safely, act)

    def kill(self, prefix: str) -> str | None:
        """End the living process of a kind that has most to do with SIGKILL; return its name."""
        view = self._first(prefix)
        if view is None:
            return None
        self._seen.add((view.name, view.starts))
        self.deaths.append(Death(view.name, self._store.time.now()))
        self._supervisor.kill(view.name)
        return view.name

    def restart(self) -> None:
        """Start what died last again (raises ConfigurationError)."""
        name = self._fallen()
        if name is not None:
            self._supervisor.restart(name)

    def pause_or_resume(self) -> None:
        """Pause every active job of the first tenant, or resume what was paused (raises HorariumError)."""
        tenant = self._tenant
        if tenant is None:
            return
        if tenant in self.paused:
            for job in self.paused.pop(tenant):
                stopping.resume(self._store, tenant, job)
            return
        place = self._store.tenants.get(tenant).place
        active = [place.job(one["_id"]) for one in self._store.jobs(place).all() if one.get("state") == "active"]
        self.paused[tenant] = active
        for job in active:
            stopping.pause(self._store, tenant, job)

    def look(self) -> None:
        """Take note of processes that died without our doing."""
        for view in self._supervisor.views():
            key = (view.name, view.starts)
            if view.state in _DEAD and key not in self._seen:
                self._seen.add(key)
                self.deaths.append(Death(view.name, self._store.time.now(), f"ended with code {view.exit_code}"))

    def close(self) -> None:
        """Wait for what is being done, and do nothing more."""
        self._worker.shutdown(cancel_futures=True)

    def _safely(self, act: Callable[[], object]) -> None:
        self.trouble = ""
        try:
            act()
        except HorariumError as error:
            self.trouble = str(error).splitlines()[0]

    def _first(self, prefix: str) -> View | None:
        """Return the one whose end is felt most, the first of equals."""
        views = [one for one in self._supervisor.views() if one.name.startswith(prefix) and one.state in _ALIVE]
        return max(views, key=lambda view: self._serving.get(view.name, 0), default=None)

    def _fallen(self) -> str | None:
        states = {view.name: view.state for view in self._supervisor.views()}
        return next((death.name for death in reversed(self.deaths) if states.get(death.name) in _DEAD), None)
