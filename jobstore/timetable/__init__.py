"""The meaning of time: what a trigger says, as nominal instants in UTC, bounded and the same on every node."""

from jobstore.timetable.facade import Span, Timetable
from jobstore.timetable.limits import Limits
from jobstore.timetable.trigger import UnixCronTrigger

__all__ = ["Limits", "Span", "Timetable", "UnixCronTrigger"]
