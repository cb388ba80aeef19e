"""Several processes under one roof: started together, seen, killed one by one, and all gone at the end."""

from collections.abc import Callable, Iterable

from cluster.dev.child import Child, Spec, View
from cluster.dev.logbook import LogBook
from jobstore.clock import Clock
from jobstore.errors import ConfigurationError, NotFound


class Supervisor:
    """Looks after processes by name.  It restarts nothing by itself: in a demonstration a death is to be seen."""

    def __init__(self, logbook: LogBook, clock: Clock, on_ready: Callable[[str], None] | None = None) -> None:
        """Write what the processes say into ``logbook``; ``on_ready`` is told of each that serves, from any thread."""
        self.logbook = logbook
        self._clock, self._on_ready = clock, on_ready
        self._children: dict[str, Child] = {}

    def start(self, specs: Iterable[Spec], within: float = 60.0) -> None:
        """Start processes at the same time and wait until every one is ready.

        Raises:
            ConfigurationError: One of them ended, or was not ready within ``within`` seconds; its last words are
                quoted.  The others are left running for the caller to stop.
        """
        self.await_ready(self.launch(specs), within)

    def launch(self, specs: Iterable[Spec]) -> list[str]:
        """Start processes at the same time and return their names (raises ConfigurationError)."""
        children = [Child(spec, self.logbook, self._clock, self._on_ready) for spec in specs]
        for child in children:
            if child.spec.name in self._children:
                raise ConfigurationError(f"there is a process {child.spec.name} already")
        for child in children:
            self._children[child.spec.name] = child
            child.start()
        return [child.spec.name for child in children]

    def await_ready(self, names: Iterable[str], within: float = 60.0) -> None:
        """Wait until every one of ``names`` is ready (raises as ``start``)."""
        self._await([self._child(name) for name in names], within)

    def restart(self, name: str, within: float = 60.0) -> None:
        """Start a process again, ending it in order first if it runs, and wait until it is ready.

        Raises:
            NotFound: There is no such process.
            ConfigurationError: It did not become ready.
        """
        child = self._child(name)
        self.stop(name)
        child.start()
        self._await([child], within)

    def stop(self, name: str, within: float | None = None) -> bool:
        """End a process in order, with SIGKILL when it takes too long; return whether it went by itself."""
        child = self._child(name)
        child.ask_to_stop()
        return child.await_exit(child.spec.stop_within if within is None else within)

    def kill(self, name: str) -> None:
        """End a process and all that it started with SIGKILL, as a crash of its machine would."""
        self._child(name).kill()

    def freeze(self, name: str) -> None:
        """Let a process stand still, as a long pause of its machine would."""
        self._child(name).freeze()

    def thaw(self, name: str) -> None:
        """Let a frozen process run on."""
        self._child(name).thaw()

    def view(self, name: str) -> View:
        """Return what there is to see of one process (raises NotFound)."""
        return self._child(name).view()

    def views(self) -> list[View]:
        """Return what there is to see of every process, in the order of their start."""
        return [child.view() for child in list(self._children.values())]

    def stop_all(self) -> list[str]:
        """End everything, the highest stage first, those of a stage at once; return the names that had to be killed.

        Another thread may call ``kill_all`` meanwhile to make it quick.
        """
        stages = sorted({child.spec.stage for child in self._children.values()}, reverse=True)
        return [name for stage in stages for name in self.stop_stage(stage)]

    def stop_stage(self, stage: int) -> list[str]:
        """End the processes of one stage, at once; return the names that had to be killed."""
        children = [child for child in self._children.values() if child.spec.stage == stage]
        for child in children:
            child.ask_to_stop()
        begun = self._clock.monotonic()
        killed = []
        for child in children:
            left = max(0.0, child.spec.stop_within - (self._clock.monotonic() - begun))
            if not child.await_exit(left):
                killed.append(child.spec.name)
        return killed

    def kill_all(self) -> None:
        """End everything with SIGKILL."""
        for child in list(self._children.values()):
            child.kill()

    def _child(self, name: str) -> Child:
        try:
            return self._children[name]
        except KeyError:
            known = ", ".join(self._children) or "none"
            raise NotFound(f"there is no process {name}; running: {known}") from None

    def _await(self, children: Iterable[Child], within: float) -> None:
        deadline = self._clock.monotonic() + within
        for child in children:
            if not child.await_settled(max(0.0, deadline - self._clock.monotonic())):
                raise ConfigurationError(self._why(child, within))

    def _why(self, child: Child, within: float) -> str:
        view = child.view()
        what = f"was not ready within {within:g} s" if view.exit_code is None else f"ended with code {view.exit_code}"
        said = "\n".join(f"  {line}" for line in self.logbook.tail(child.spec.name)) or "  (nothing)"
        return f"{view.name} {what}; the end of {self.logbook.path(view.name)}:\n{said}"
