"""Directories for servers and runs: locked while in use; the temporary ones go away, even after a crash."""

import fcntl
import shutil
import tempfile
from pathlib import Path
from typing import IO

from jobstore.errors import ConfigurationError

_LOCK = ".horarium-lock"
_PREFIX = "horarium-"


class RunDirectory:
    """A directory that this process alone uses until ``close``."""

    def __init__(self, kind: str, path: Path | None = None) -> None:
        """Take ``path`` and keep what is in it, or make a temporary directory that ``close`` removes.

        Raises:
            ConfigurationError: Another process uses ``path``, or it cannot be written.
        """
        self.temporary = path is None
        if path is None:
            sweep_abandoned()
            # Under a name that no sweep looks at until it is locked: another process could take it for abandoned.
            self.path = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}{kind}-"))
        else:
            self.path = path.absolute()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = _take(self.path)
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be used: {error.strerror}") from error
        if lock is None:
            raise ConfigurationError(f"{self.path} is in use by another process; stop it or choose another directory")
        self._lock = lock
        if self.temporary:
            self.path = self.path.rename(self.path.with_name(self.path.name.removeprefix(".")))

    def close(self) -> None:
        """Give the directory up; a temporary one is removed with all that is in it."""
        if self.temporary:
            shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def sweep_abandoned() -> None:
    """Remove temporary directories whose process was killed before it could: each may hold 300 MB."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        if not (path / _LOCK).is_file():
            continue  # not ours, or made a moment ago and not locked yet
        try:
            lock = _take(path)
        except OSError:
            continue  # another user's
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            lock.close()


def _take(path: Path) -> IO[bytes] | None:
    lock = (path / _LOCK).open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock
