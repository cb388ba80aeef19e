"""The meaning of time: what a trigger says, as nominal instants in UTC, bounded and the same on every node."""

from jobstore.timetable.dialects import DIALECTS, Conversion, convert
from jobstore.timetable.facade import Span, Timetable
from jobstore.timetable.limits import Limits
from jobstore.timetable.preview import Occurrence, preview
from jobstore.timetable.spec import KEYS, PHASES
from jobstore.timetable.spread import spread
from jobstore.timetable.trigger import UnixCronTrigger

__all__ = [
    "DIALECTS",
    "KEYS",
    "PHASES",
    "Conversion",
    "Limits",
    "Occurrence",
    "Span",
    "Timetable",
    "UnixCronTrigger",
    "convert",
    "preview",
    "spread",
]
