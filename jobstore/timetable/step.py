"""How far apart the dates of a calendar interval are."""

from dataclasses import dataclass

UNITS = ("years", "months", "weeks", "days")
_NAMES = ("year", "month", "week", "day")
_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Step:
    """The distance between two dates: months first (months without the day are passed over), then days."""

    years: int
    months: int
    weeks: int
    days: int

    @classmethod
    def of(cls, years: object, months: object, weeks: object, days: object) -> "Step":
        """Return the step (raises ValueError when it is not made of whole numbers, or does not move forward)."""
        counts = []
        for count in (years, months, weeks, days):
            if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= _MOST:
                raise ValueError(
                    f"years, months, weeks and days are whole numbers from 0 to {_MOST}, not {count!r:.40}"
                )
            counts.append(count)
        if not any(counts):
            raise ValueError("one of years, months, weeks and days must be at least 1")
        return cls(*counts)

    @property
    def in_months(self) -> int:
        """Years and months together."""
        return self.years * 12 + self.months

    @property
    def in_days(self) -> int:
        """Weeks and days together."""
        return self.weeks * 7 + self.days

    def words(self) -> str:
        """Return "month", "2 weeks", "1 month 1 day"."""
        counts = (self.years, self.months, self.weeks, self.days)
        said = [(count, unit) for count, unit in zip(counts, _NAMES, strict=True) if count]
        if len(said) == 1 and said[0][0] == 1:
            return said[0][1]
        return " ".join(f"{count} {unit}{'s' if count != 1 else ''}" for count, unit in said)
