"""Calling what an APScheduler job names: a reference ``module:qualname``, with pickled arguments.

Both run code of whoever may write them.  So a record that holds a reference carries a seal: an HMAC with the cluster's
message key over the firing's id and all of it.  Only the executor for APScheduler makes such records; a job of the
cluster cannot name a reference, and a tenant who can write its own ledger cannot make a worker import anything.

Shape of the target in the record::

    {kind: "reference", name: "proj.jobs:report", arguments: BinData(pickle of (args, kwargs)), start_by: 1795683060.0 | null,
     most: 1, seal: "9f…"}

``start_by`` is when a run that has not begun counts as missed, ``most`` the job's ``max_instances``.
"""

import asyncio
import hashlib
import hmac
import inspect
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from apscheduler.util import ref_to_obj

from jobstore.clock import Clock, to_posix
from jobstore.firing import Firing
from workers.outcome import Missed, UnknownTarget

KIND: Final = "reference"
MAX_ARGUMENTS: Final = 4 * 1024 * 1024


def sealed(
    key: bytes,
    firing: str,
    *,
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    start_by: float | None,
    most: int,
) -> dict[str, Any]:
    """Return the target of a record.

    Raises:
        ValueError: The arguments cannot be pickled, or take more than 4 MiB.
    """
    try:
        arguments = pickle.dumps((tuple(args), dict(kwargs)))
    except Exception as error:
        raise ValueError(f"the arguments of {name} cannot be pickled: {type(error).__name__}: {error}") from error
    if len(arguments) > MAX_ARGUMENTS:
        raise ValueError(f"the arguments of {name} take {len(arguments):,} bytes; at most {MAX_ARGUMENTS:,} are sent")
    return {
        "kind": KIND,
        "name": name,
        "arguments": arguments,
        "start_by": start_by,
        "most": most,
        "seal": _seal(key, firing, name, arguments, start_by),
    }


def opened(key: bytes, firing: Firing, clock: Clock) -> Callable[[], Any]:
    """Return a call of the function that a record names.

    Raises:
        UnknownTarget: The record was not made by the executor, or this worker lacks the function or its arguments.
    """
    target = firing.snapshot.target
    name, arguments, start_by = str(target.get("name")), target.get("arguments"), target.get("start_by")
    seal = target.get("seal")
    good = isinstance(arguments, bytes) and isinstance(seal, str)
    if not good or not hmac.compare_digest(
        str(seal).encode(), _seal(key, firing.id, name, bytes(arguments or b""), start_by).encode()
    ):
        raise UnknownTarget(f"the reference {name!r} is not sealed: no executor for APScheduler made this record")
    function, args, kwargs = _loaded(name, bytes(arguments or b""))

    def call() -> Any:
        if start_by is not None and to_posix(clock.now()) > start_by:
            raise Missed
        value = function(*args, **kwargs)
        return asyncio.run(value) if inspect.iscoroutine(value) else value

    return call


def _loaded(name: str, arguments: bytes) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    try:
        function = ref_to_obj(name)
        args, kwargs = pickle.loads(arguments)  # noqa: S301  (sealed)
    except Exception as error:
        cause = error.__cause__ or error
        raise UnknownTarget(
            f"this worker cannot call {name}: {type(cause).__name__}: {cause}; has it the application's code?"
        ) from error
    return function, args, kwargs


def _seal(key: bytes, firing: str, name: str, arguments: bytes, start_by: object) -> str:
    digest = hashlib.sha256(arguments).hexdigest()
    text = f"horarium.reference|1|{len(firing)}:{firing}|{len(name)}:{name}|{start_by!r}|{digest}"
    return hmac.digest(key, text.encode(), hashlib.sha256).hex()
