"""Threads that take turns: exactly one runs at a time, and it hands the baton back wherever the schedule says."""

import threading
from collections.abc import Callable


class Killed(BaseException):
    """The process dies here: no handler of ours may go on from it."""


class Fiber:
    """A thread that runs one call at a time, from ``begin`` over any number of ``pause`` to its end.

    ``resume`` is called by the schedule and returns when the call has paused or ended; ``pause`` is called by the
    running call itself.
    """

    def __init__(self) -> None:
        self._go = threading.Lock()
        self._back = threading.Lock()
        self._go.acquire()
        self._back.acquire()
        self._call: Callable[[], None] | None = None
        self._kill = False
        self.done = True
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="fiber", daemon=True)
        self._thread.start()

    def begin(self, call: Callable[[], None]) -> None:
        """Take a call; it runs with the first ``resume``."""
        self._call, self._kill, self.done, self.error = call, False, False, None

    def resume(self) -> None:
        """Let it run on until it pauses or ends."""
        self._go.release()
        self._back.acquire()

    def pause(self) -> None:
        """Hand the baton back; raises Killed when the schedule has decided so meanwhile."""
        self._back.release()
        self._go.acquire()
        if self._kill:
            raise Killed

    def kill(self) -> None:
        """End a paused call where it stands."""
        self._kill = True
        self.resume()

    def end(self) -> None:
        """Let the thread go."""
        self._call = None
        self._go.release()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._go.acquire()
            if self._call is None:
                return
            try:
                if not self._kill:
                    self._call()
            except Killed:
                pass
            except BaseException as error:  # noqa: BLE001  (whatever it is, the schedule reports it)
                self.error = error
            self.done = True
            self._back.release()
