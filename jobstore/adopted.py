"""Jobs in an adopted collection: stock APScheduler's pickles, read without running what they name.

Stock reads the next run time from the pickle after it selected by the field, so a write that moves such a job on
writes both; and stock edits without a revision, so that write also compares the pickle it read.
"""

import pickle
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from apscheduler.triggers.base import BaseTrigger
from bson.binary import Binary
from pydantic import ValidationError

from jobstore.clock import from_posix
from jobstore.connection import Document
from jobstore.errors import InvalidTrigger, Unreadable
from jobstore.job import Job, JobSpec, Target
from jobstore.tenant import Place
from jobstore.timetable import Timetable
from jobstore.unpickling import load

# Stock's grace of one second would turn every take-over of a dead node's work into a miss: lease + 5 s at least.
LEAST_GRACE_S: Final = 15.0
_REFERENCE: Final = "reference"


def read_state(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the dictionary in ``job_state`` (raises Unreadable)."""
    state = load(bytes(document["job_state"]))
    if not isinstance(state, dict):
        raise Unreadable(f"the pickle holds a {type(state).__name__}, not a job")
    if state.get("version", 1) > 1:
        raise Unreadable(f"the job is pickled in version {state['version']}; this release reads 1")
    if not isinstance(state.get("trigger"), BaseTrigger) or not isinstance(state.get("func"), str):
        raise Unreadable("the pickle holds no trigger and no reference to a function")
    return state


def read_adopted(document: Mapping[str, Any], place: Place) -> Job:
    """Return the job of a stock document that a claim has completed with our fields (raises Unreadable)."""
    state = read_state(document)
    try:
        timetable = Timetable.from_trigger(state["trigger"])
        spec = _spec(state, timetable)
    except InvalidTrigger as error:
        raise Unreadable(f"the trigger cannot be used: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Unreadable(f"the job cannot be handed to a worker: {where}: {first['msg']}") from error
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        # A pickle may fill admitted classes with anything.
        raise Unreadable(f"the pickle is damaged: {type(error).__name__}: {error}") from error
    seconds = document.get("next_run_time")
    return Job(
        uid=place.uid,
        id=place.job(str(document["_id"])),
        spec=spec,
        timetable=timetable,
        state=document.get("state") or ("active" if seconds is not None else "paused"),
        incarnation=document.get("incarnation") or "",
        revision=int(document.get("revision") or 1),
        timetable_rev=0,
        stop_rev=int(document.get("stop_rev") or 0),
        nominal=document.get("nominal", seconds),
        decided_through=document.get("decided_through"),
        next_run_time=seconds,
        claim_token=int(document.get("claim_token") or 0),
        fence=int(document.get("fence") or 0),
        slots=tuple(document.get("slots") or ()),
        owed=None,
        claimed_at=document.get("claimed_at"),
        created_at=document.get("created_at"),
        pickled=bytes(document["job_state"]),
    )


def _spec(state: Mapping[str, Any], timetable: Timetable) -> JobSpec:
    grace = state.get("misfire_grace_time")
    return JobSpec(
        trigger=timetable.to_document(),
        target=Target(kind=_REFERENCE, name=state["func"]),
        args=tuple(state.get("args") or ()),
        kwargs=dict(state.get("kwargs") or {}),
        description=str(state.get("name") or "")[:1000],
        catch_up="latest" if state.get("coalesce", True) else "all",
        max_instances=int(state.get("max_instances") or 1),
        misfire_grace_s=None if grace is None else max(float(grace), LEAST_GRACE_S),
    )


def moved_on(pickled: bytes, nominal: float | None) -> Document:
    """Return the fields of a stock document whose job goes on to ``nominal``: the double and the pickle agree."""
    state = dict(load(pickled))
    before = state.get("next_run_time")
    zone = before.tzinfo if isinstance(before, datetime) else None
    state["next_run_time"] = None if nominal is None else from_posix(nominal).astimezone(zone)
    return {"next_run_time": nominal, "job_state": Binary(pickle.dumps(state, _protocol(pickled)))}


def _protocol(pickled: bytes) -> int:
    """Return the pickle protocol that ``pickled`` was written with, so that its readers can read it again."""
    return pickled[1] if pickled[:1] == b"\x80" and len(pickled) > 1 and pickled[1] <= pickle.HIGHEST_PROTOCOL else 1
