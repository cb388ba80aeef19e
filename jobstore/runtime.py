"""What every part of a process needs and nobody may reach for: clock, ids, events, crash points."""

from dataclasses import dataclass, field

from jobstore.clock import Clock, SystemClock
from jobstore.events import Events
from jobstore.ids import IdSource, SystemIds
from jobstore.points import NoPoints, Points


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Made once at the composition root and passed down."""

    clock: Clock = field(default_factory=SystemClock)
    ids: IdSource = field(default_factory=SystemIds)
    events: Events = field(default_factory=Events)
    points: Points = field(default_factory=NoPoints)
