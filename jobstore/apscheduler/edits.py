"""What an edit changes, so that it can be written without undoing what others wrote since the job was read."""

import pickle
from typing import Any

from jobstore.apscheduler.pickles import State

_BY_PICKLE = frozenset({"trigger", "args", "kwargs"})


def changes(read: State, edited: State) -> State:
    """Return the fields of ``edited`` that differ from what was ``read``."""
    return {name: value for name, value in edited.items() if name not in read or _differs(name, read[name], value)}


def _differs(name: str, before: Any, after: Any) -> bool:
    if name not in _BY_PICKLE:
        return bool(before != after)
    # Triggers have no equality, and neither need the arguments; a list changed in place is still the same object.
    return pickle.dumps(before) != pickle.dumps(after)
