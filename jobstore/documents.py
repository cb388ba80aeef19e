"""Job documents: the one file that spells their fields.

Shape of a structured job (stock APScheduler reads ``_id`` and ``next_run_time`` only, and leaves the rest alone)::

    {_id: "report", v: 1, tenant: "acme-k3x9q2", next_run_time: 1795683000.0 | null, state: "active",
     spec: {trigger: {...}, target: {kind: "task", name: "proj.report"}, args: [], kwargs: {}, pool: "default", ...},
     nominal: 1795683000.0 | null, decided_through: 1795682940.0 | null, incarnation: "5f…",
     revision: NumberLong(1), timetable_rev: NumberLong(1), stop_rev: NumberLong(0),
     claim_token: NumberLong(7), fence: NumberLong(6), slots: ["acme-k3x9q2:ab…"],
     buffered: "acme-k3x9q2:cd…"?, owed: {from, through, admitted: [...]}?, quarantine: {reason, at, nominal, state}?,
     lease_until: ISODate?, owner: "node-a"?, claim_nonce: "…"?, claimed_at: ISODate?, created_at, updated_at}

Instants of the timetable are POSIX seconds as doubles, as stock stores them; what happened is a Date.  Fields with
``?`` are missing where nothing is to be said.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from jobstore.adopted import read_adopted
from jobstore.connection import Document
from jobstore.errors import Unreadable
from jobstore.job import Job, JobSpec, Owed
from jobstore.tenant import Place
from jobstore.timetable import Timetable

VERSION: Final = 1

# What a claim sets and every write that ends it takes away.
LEASE: Final = ("lease_until", "owner", "claim_nonce")

_timetables: dict[Any, Timetable] = {}


def spec_document(spec: JobSpec) -> Document:
    """Return the stored form of ``spec``."""
    return spec.model_dump(mode="python") | {"args": list(spec.args), "kwargs": dict(spec.kwargs)}


def read_job(document: Mapping[str, Any], place: Place) -> Job:
    """Return the job of a stored document.

    Raises:
        Unreadable: It is of a newer version, damaged, or of another tenant; the reason is the message.
    """
    if place.codec == "pickled":
        return read_adopted(document, place)
    if document.get("v") != VERSION:
        raise Unreadable(f"the document is of version {document.get('v')!r}; this release reads {VERSION}")
    if document.get("tenant") != place.uid:
        raise Unreadable(f"the document belongs to {document.get('tenant')!r}, not to {place.uid!r}")
    try:
        spec = JobSpec.model_validate(document["spec"])
        return _job(document, place, spec, _timetable(spec.trigger))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Unreadable(f"spec.{where}: {first['msg']}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"the document is damaged: {error!r}") from error


def _job(document: Mapping[str, Any], place: Place, spec: JobSpec, timetable: Timetable) -> Job:
    owed = document.get("owed")
    return Job(
        uid=place.uid,
        id=place.job(_text(document["_id"])),
        spec=spec,
        timetable=timetable,
        state=document["state"],
        incarnation=_text(document["incarnation"]),
        revision=_whole(document["revision"]),
        timetable_rev=_whole(document["timetable_rev"]),
        stop_rev=_whole(document["stop_rev"]),
        nominal=_instant(document["nominal"]),
        decided_through=_instant(document["decided_through"]),
        next_run_time=_instant(document["next_run_time"]),
        claim_token=_whole(document["claim_token"]),
        fence=_whole(document["fence"]),
        slots=tuple(map(_text, _several(document["slots"]))),
        owed=None
        if owed is None
        else Owed(start=float(owed["from"]), through=float(owed["through"]), admitted=tuple(owed["admitted"])),
        buffered=document.get("buffered"),
        claimed_at=document.get("claimed_at"),
        created_at=document.get("created_at"),
    )


def _timetable(trigger: Mapping[str, Any]) -> Timetable:
    # Parsing costs more than evaluating; most jobs are read again and again with the same trigger.
    try:
        key = tuple(sorted(trigger.items()))
        found = _timetables.get(key)
    except TypeError:
        return Timetable.from_document(trigger)
    if found is None:
        found = Timetable.from_document(trigger)
        if len(_timetables) > 10_000:
            _timetables.clear()
        _timetables[key] = found
    return found


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected a text, found {value!r}")
    return value


def _several(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError(f"expected a list, found {value!r}")
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"expected a whole number, found {value!r}")
    return value


def _instant(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected POSIX seconds, found {value!r}")
    return float(value)
