"""The options that define a job, and files that do; both become the mapping that ``operations.definition`` reads."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from jobstore.errors import InvalidInput

_F = TypeVar("_F", bound=Callable[..., Any])

_OPTIONS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("--cron", "cron", {"metavar": "EXPR", "help": "A unix cron expression, such as '0 2 * * mon-fri'."}),
    ("--every", "every", {"metavar": "LENGTH", "help": "An interval, such as 5s, 1m30s or 2h."}),
    ("--at", "at", {"metavar": "INSTANT", "help": "Once, such as 2026-12-31T23:59."}),
    ("--calendar", "calendar", {"metavar": "JSON", "help": 'Calendar steps, such as \'{"months": 1, "hour": 2}\'.'}),
    ("--rrule", "rrule", {"metavar": "RULE", "help": "A recurrence rule, such as FREQ=MONTHLY;BYDAY=-1FR."}),
    ("--dialect", "dialect", {"metavar": "NAME", "help": "How the cron expression is read; by default unix."}),
    ("--tz", "timezone", {"metavar": "ZONE", "help": "Time zone; by default the tenant's."}),
    ("--start", "start", {"metavar": "INSTANT", "help": "Nothing fires before."}),
    ("--end", "end", {"metavar": "INSTANT", "help": "Nothing fires after."}),
    ("--task", "task", {"metavar": "NAME", "help": "The Celery task to run, by its name."}),
    ("--function", "function", {"metavar": "NAME", "help": "The registered function to run, by its name."}),
    ("--args", "args", {"metavar": "JSON", "help": "Positional arguments, a JSON list."}),
    ("--kwargs", "kwargs", {"metavar": "JSON", "help": "Named arguments, a JSON object."}),
    ("--pool", "pool", {"metavar": "NAME", "help": "Worker pool; by default the tenant's."}),
    ("--max-instances", "max_instances", {"type": int, "metavar": "N", "help": "Most firings running at a time."}),
    ("--catch-up", "catch_up", {"metavar": "HOW", "help": "What becomes of missed instants: latest, all or none."}),
    ("--overlap", "overlap", {"metavar": "HOW", "help": "When all instances run: skip or buffer_one."}),
    ("--grace", "grace", {"metavar": "LENGTH", "help": "How late a firing may still be made."}),
    ("--time-limit", "time_limit", {"metavar": "LENGTH", "help": "How long a run may take."}),
    ("--max-attempts", "max_attempts", {"type": int, "metavar": "N", "help": "How often a firing is tried."}),
    ("--retry-delay", "retry_delay", {"metavar": "LENGTH", "help": "Wait before the second attempt; doubles."}),
    ("--description", "description", {"metavar": "TEXT", "help": "For people."}),
    ("-f", "file", {"metavar": "FILE", "help": "Read the whole definition from YAML or JSON; - is stdin."}),
)
_JSON: Final = {"calendar": dict, "args": list, "kwargs": dict}
_LENGTHS: Final = {"grace": "misfire_grace_s", "time_limit": "time_limit_s"}


def definition_options(function: _F) -> _F:
    """Add the options of ``horarium job put``."""
    for flag, name, rest in reversed(_OPTIONS):
        flags = (flag, "--timezone") if flag == "--tz" else (flag, "--file") if flag == "-f" else (flag,)
        function = click.option(*flags, name, **rest)(function)
    return function


def read_options(options: Mapping[str, Any]) -> Any:
    """Return the definition that the options say, or the file among them.

    Raises:
        InvalidInput: With a sentence for every option that cannot be read.
    """
    given = {name: value for name, value in options.items() if value is not None}
    file = given.pop("file", None)
    if file is not None:
        if given:
            raise InvalidInput("give a job either by -f FILE or by options, not both")
        return _document(file)
    faults: list[str] = []
    found = {
        name: value for name, value in given.items() if name not in (*_JSON, *_LENGTHS, "max_attempts", "retry_delay")
    }
    for name, kind in _JSON.items():
        if name in given:
            found[name] = _json(name, kind, given[name], faults)
    for name, stored in _LENGTHS.items():
        if name in given:
            found[stored] = _seconds(name, given[name], faults)
    retry: dict[str, Any] = {}
    if "max_attempts" in given:
        retry["max_attempts"] = given["max_attempts"]
    if "retry_delay" in given:
        retry["delay_s"] = _seconds("retry_delay", given["retry_delay"], faults)
    if faults:
        raise InvalidInput(*faults)
    return found | ({"retry": retry} if retry else {})


def read_text(file: str) -> str:
    """Return the text of a file, of stdin for ``-`` (raises InvalidInput)."""
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not a text in UTF-8") from error


def _document(file: str) -> Any:
    from cluster.operations.manifest import read_yaml

    documents = [document for document in read_yaml(read_text(file), file) if document is not None]
    if len(documents) != 1:
        raise InvalidInput(f"{file} holds {len(documents)} documents; for several jobs use: horarium apply -f {file}")
    if isinstance(documents[0], dict) and "tenant" in documents[0]:
        raise InvalidInput(f"{file} defines a tenant with its jobs; use: horarium apply -f {file}")
    return documents[0]


def _json(name: str, kind: type, text: str, faults: list[str]) -> Any:
    what = "list" if kind is list else "object"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        faults.append(f"--{name} is not JSON: {error}")
        return None
    if not isinstance(value, kind):
        faults.append(f"--{name} must be a JSON {what}, not {text[:60]!r}")
    return value


def _seconds(name: str, text: str, faults: list[str]) -> float | None:
    from jobstore.timetable.durations import read_interval

    if text.strip() in ("0", "0s"):
        return 0.0
    try:
        return read_interval(text if not text.strip().isdigit() else int(text)).total_seconds()
    except ValueError as error:
        faults.append(f"--{name.replace('_', '-')}: {error}")
        return None
