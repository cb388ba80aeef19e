"""Functions that jobs may name, each under the name that its author chose."""

import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from jobstore.errors import ConfigurationError
from jobstore.job import TargetName

_F = TypeVar("_F", bound=Callable[..., Any])
_NAME: Final = TypeAdapter(TargetName)


class Registry:
    """Names and functions; a name is said once and does not depend on where the function stands."""

    def __init__(self) -> None:
        self._functions: dict[str, Callable[..., Any]] = {}
        self._lock = threading.Lock()

    def register(self, name: str) -> Callable[[_F], _F]:
        """Return a decorator that lets jobs call the function by ``name``.

        Raises:
            ConfigurationError: The name cannot be one, or another function has it.
        """
        try:
            _NAME.validate_python(name, strict=True)
        except ValidationError as error:
            raise ConfigurationError(
                f"{name!r} cannot name a function: use letters, digits and _ . : -, at most 255"
            ) from error

        def add(function: _F) -> _F:
            with self._lock:
                found = self._functions.setdefault(name, function)
            # A module that is imported twice defines its functions twice.
            if (found.__module__, found.__qualname__) != (function.__module__, function.__qualname__):
                raise ConfigurationError(
                    f"the name {name!r} belongs to {found.__module__}.{found.__qualname__}; "
                    f"{function.__module__}.{function.__qualname__} needs another"
                )
            return function

        return add

    def get(self, name: str) -> Callable[..., Any] | None:
        """Return the function of that name."""
        return self._functions.get(name)

    def names(self) -> list[str]:
        """Return every name, sorted."""
        return sorted(self._functions)


functions: Final = Registry()
register: Final = functions.register
