"""Reading pickles that somebody else may have written: exact class names are admitted, everything else is refused.

Loading a pickle runs whatever it names.  An adopted collection holds pickles of APScheduler, which name its triggers,
dates and time zones; a pickle that names anything else is hostile or beyond us, and is set aside unread.
"""

import io
import pickle
from collections.abc import Mapping
from typing import Any, Final

from jobstore.errors import Unreadable

MAX_PICKLE: Final = 1024 * 1024

# Every class that APScheduler's own triggers, datetime, zoneinfo and pytz put into a pickle; functions only where a
# time zone is rebuilt by one.
ADMITTED: Final[Mapping[str, frozenset[str]]] = {
    "apscheduler.triggers.cron": frozenset({"CronTrigger"}),
    "apscheduler.triggers.cron.fields": frozenset(
        {"BaseField", "WeekField", "DayOfMonthField", "DayOfWeekField", "MonthField"}
    ),
    "apscheduler.triggers.cron.expressions": frozenset(
        {
            "AllExpression",
            "RangeExpression",
            "MonthRangeExpression",
            "WeekdayRangeExpression",
            "WeekdayPositionExpression",
            "LastDayOfMonthExpression",
        }
    ),
    "apscheduler.triggers.interval": frozenset({"IntervalTrigger"}),
    "apscheduler.triggers.date": frozenset({"DateTrigger"}),
    "apscheduler.triggers.calendarinterval": frozenset({"CalendarIntervalTrigger"}),
    "apscheduler.triggers.combining": frozenset({"AndTrigger", "OrTrigger"}),
    "datetime": frozenset({"datetime", "date", "time", "timedelta", "timezone"}),
    "zoneinfo": frozenset({"ZoneInfo", "ZoneInfo._unpickle"}),
    "pytz": frozenset({"_UTC", "_p"}),
    "copyreg": frozenset({"_reconstructor"}),
    "copy_reg": frozenset({"_reconstructor"}),
    "builtins": frozenset({"object", "set", "frozenset", "bytearray", "complex"}),
    "__builtin__": frozenset({"object", "set", "frozenset", "bytearray", "complex"}),
    "_codecs": frozenset({"encode"}),
}


def load(data: bytes) -> Any:
    """Return what the pickle ``data`` holds, if it names admitted classes only.

    Raises:
        Unreadable: It names another class, is larger than 1 MiB, or is damaged; nothing it names has been run.
    """
    if len(data) > MAX_PICKLE:
        raise Unreadable(f"the pickle takes {len(data):,} bytes; at most {MAX_PICKLE:,} are read")
    try:
        return _Restricted(io.BytesIO(data)).load()
    except Unreadable:
        raise
    except (
        pickle.UnpicklingError,
        EOFError,
        ImportError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        ArithmeticError,
        RecursionError,
        MemoryError,
    ) as error:
        raise Unreadable(f"the pickle is damaged: {type(error).__name__}: {error}") from error


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return an admitted class (raises Unreadable)."""
        if (module, name) in {("builtins", "getattr"), ("__builtin__", "getattr")}:
            return _zone_maker
        if name not in ADMITTED.get(module, ()):
            raise Unreadable(f"the pickle names {module}.{name}, which is not admitted")
        return super().find_class(module, name)

    def persistent_load(self, pid: Any) -> Any:
        """Refuse references to objects outside the pickle."""
        raise Unreadable(f"the pickle refers to {str(pid)[:60]!r}, something outside itself")


def _zone_maker(owner: Any, name: str) -> Any:
    """Stand in for ``getattr``, which older protocols call to find how a ``ZoneInfo`` is rebuilt, and for nothing else."""
    from zoneinfo import ZoneInfo

    if owner is not ZoneInfo or name != "_unpickle":
        raise Unreadable("the pickle calls getattr, which is not admitted")
    return ZoneInfo._unpickle  # type: ignore[attr-defined]  # what pickle itself calls
