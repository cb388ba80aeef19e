"""A job as its owner writes it: one flat mapping, in YAML, JSON or options, read into a spec with every fault told."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from jobstore.errors import InvalidInput, InvalidTrigger, TriggerStuck
from jobstore.job import JobSpec, Retry, parse_spec
from jobstore.tenant import Defaults
from jobstore.timetable import KEYS as timetable_keys  # noqa: N811  (their keys, not ours)
from jobstore.timetable import Timetable
from jobstore.timetable.zones import read_stored_zone

WHEN: Final = timetable_keys
WHAT: Final = ("task", "function")
HOW: Final = tuple(name for name in JobSpec.model_fields if name not in ("trigger", "target"))
KEYS: Final = (*WHEN, *WHAT, *HOW)


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition that was accepted: what is stored, and when it fires."""

    spec: JobSpec
    timetable: Timetable


def read_definition(
    fields: object, *, defaults: Defaults, now: datetime, stored: Mapping[str, Any] | None = None
) -> Definition:
    """Return what ``fields`` mean.

    Args:
        fields: As written, such as ``{"every": "5s", "task": "proj.report", "kwargs": {...}}``.
        defaults: The tenant's, for what is left out.
        now: The phase of an interval without a start.
        stored: The trigger that the job has; where only the phase would differ, it is kept, so that the same
            definition given twice changes nothing.

    Raises:
        InvalidInput: With a sentence for every fault.
    """
    if not isinstance(fields, Mapping):
        raise InvalidInput(f"a job is a mapping such as {{every: 5s, task: proj.report}}, not {_shown(fields)}")
    faults = _unknown(fields)
    trigger: Mapping[str, Any] = {}
    timetable = None
    try:
        timetable = _timetable({key: fields[key] for key in WHEN if key in fields}, defaults, now, stored)
        trigger = timetable.to_document()
    except InvalidTrigger as error:
        faults += error.faults
    spec = None
    try:
        spec = parse_spec(_spec_fields(fields, defaults, faults) | {"trigger": trigger})
    except InvalidInput as error:
        faults += [_in_our_words(fault, fields) for fault in error.faults]
    if faults or spec is None or timetable is None:
        raise InvalidInput(*faults)
    return Definition(spec, timetable)


def _timetable(
    when: Mapping[str, Any], defaults: Defaults, now: datetime, stored: Mapping[str, Any] | None
) -> Timetable:
    try:
        found = Timetable.from_spec(when, zone=defaults.zone, now=now)
        for phase in sorted(set(_phases(stored))):
            kept = _with_phase(when, defaults, phase)
            if kept is not None and kept.to_document() == stored:
                return kept
    except TriggerStuck as error:
        raise InvalidTrigger(f"the trigger never fires: {error}") from error
    return found


def _with_phase(when: Mapping[str, Any], defaults: Defaults, phase: datetime) -> Timetable | None:
    try:
        return Timetable.from_spec(when, zone=defaults.zone, now=phase)
    except (InvalidTrigger, TriggerStuck):
        return None


def _phases(stored: object) -> Iterator[datetime]:
    """Yield the instants that a stored trigger, or a part of it, is counted from.

    A specification may leave them out; the one that was the present then gives the same trigger again.
    """
    if isinstance(stored, list | tuple):
        for part in stored:
            yield from _phases(part)
    elif isinstance(stored, Mapping):
        zone = read_stored_zone(str(stored.get("timezone", "UTC")))
        if isinstance(start := stored.get("start"), str):
            phase = datetime.fromisoformat(start)
            yield phase if phase.tzinfo is not None else phase.replace(tzinfo=zone)
        elif isinstance(day := stored.get("start_date"), str):
            # At noon it is the same day in that zone, for any clock change.
            yield datetime.fromisoformat(day).replace(hour=12, tzinfo=zone)
        for kind in ("any", "all", "or", "and"):
            yield from _phases(stored.get(kind))


def _spec_fields(fields: Mapping[Any, Any], defaults: Defaults, faults: list[str]) -> dict[str, Any]:
    named = [kind for kind in WHAT if kind in fields]
    if len(named) != 1:
        faults.append(
            "a job names what it runs: task (a Celery task by its name) or function (one registered by a name)"
            + (", and not both" if named else "")
        )
    kind = named[0] if named else WHAT[0]
    found = {key: fields[key] for key in HOW if key in fields}
    # An empty value in YAML means "not given".
    found = {key: value for key, value in found.items() if value is not None}
    found.setdefault("pool", defaults.pool)
    return found | {"target": {"kind": kind, "name": fields.get(kind, "unnamed")}}


def _unknown(fields: Mapping[Any, Any]) -> list[str]:
    faults = []
    for key in fields:
        if key not in KEYS:
            near = difflib.get_close_matches(str(key)[:60], KEYS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(KEYS)}"
            faults.append(f"{_shown(key)} is not a setting of a job; {hint}")
    return faults


def _in_our_words(fault: str, fields: Mapping[Any, Any]) -> str:
    if fault.startswith("target.name:"):
        kind = next((kind for kind in WHAT if kind in fields), WHAT[0])
        return (
            f"{kind}: {_shown(fields.get(kind))} is not a name: use 1 to 255 letters, digits and _ . : -, beginning "
            "with a letter, a digit or _"
        )
    if fault.startswith("pool:"):
        return f"pool: {_shown(fields.get('pool'))} is not a pool: use 1 to 39 lower-case letters, digits and hyphens"
    if fault.startswith("retry.") and "is not a setting" in fault:
        return f"{fault.partition(' ')[0]} is not a setting of retry; known: {', '.join(Retry.model_fields)}"
    for stiff, plain in _PLAINER:
        fault = fault.replace(stiff, plain)
    return fault


_PLAINER: Final = (
    ("Input should be a valid tuple", "write a list, such as [1, two]"),
    ("Input should be a valid dictionary", "write a mapping, such as {kind: full}"),
    ("Input should be a valid integer", "write a whole number"),
    ("Input should be a valid number", "write a number"),
    ("Input should be a valid string", "write a text"),
    ("Input should be", "it must be"),
)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
