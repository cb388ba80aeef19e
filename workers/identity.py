"""Whose code this is: our packages have common names, and the user's application comes from the current directory."""

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from typing import Any, Final

from celery import Celery

from jobstore.errors import ConfigurationError

_PACKAGES: Final = ("cluster", "jobstore", "workers")


def check_packages(root: Path | None = None) -> None:
    """Refuse to run when one of our package names leads to somebody else's package.

    Raises:
        ConfigurationError: Which name, and where it leads.
    """
    ours = root or Path(__file__).resolve().parent.parent
    for name in _PACKAGES:
        spec = importlib.util.find_spec(name)
        where = None if spec is None or spec.origin is None else Path(spec.origin).resolve()
        if where is None or where.parent.parent != ours:
            raise ConfigurationError(
                f"Python finds the package {name!r} at {where or 'no file'}, which is not Horarium's ({ours / name}); "
                "start with PYTHONSAFEPATH=1, or give that package another name or place"
            )


def load_app(name: str, directory: Path) -> Celery:
    """Return the Celery application that ``HORARIUM_APP`` names, importing it from ``directory`` if need be.

    Args:
        name: ``package.module:variable``; the variable is ``app`` when not given.
        directory: Put at the end of the import path, so that nothing in it can take the place of anything installed.

    Raises:
        ConfigurationError: It cannot be imported, or is not a Celery application.
    """
    module_name, _, attribute = name.partition(":")
    attribute = attribute or "app"
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise ConfigurationError(f"HORARIUM_APP is {name!r}; give it as package.module:variable, like proj.celery:app")
    if str(directory) not in sys.path:
        sys.path.append(str(directory))
    found = getattr(_module(module_name, directory), attribute, None)
    if not isinstance(found, Celery):
        what = "has no such name" if found is None else f"is a {type(found).__name__}, not a Celery application"
        raise ConfigurationError(f"HORARIUM_APP is {name!r}, but {attribute!r} in {module_name} {what}")
    return found


def _module(name: str, directory: Path) -> Any:
    try:
        return importlib.import_module(name)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = "" if "importlib" in last.filename else f" at {last.filename}:{last.lineno}"
        shadowed = [one for one in _PACKAGES if (directory / one).is_dir() or (directory / f"{one}.py").is_file()]
        hint = f"; {directory / shadowed[0]} cannot be imported, that name is Horarium's" if shadowed else ""
        raise ConfigurationError(
            f"HORARIUM_APP: importing {name} failed: {type(error).__name__}: {error}{place}{hint}"
        ) from error
