"""The dialects of cron, as data: what a text means depends on the name that stands beside it."""

from jobstore.timetable.dialects.compiled import CronPattern
from jobstore.timetable.dialects.convert import Conversion, convert
from jobstore.timetable.dialects.registry import DIALECTS, cron_pattern

__all__ = ["DIALECTS", "Conversion", "CronPattern", "convert", "cron_pattern"]
