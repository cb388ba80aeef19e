"""Public holidays by country and subdivision, from the optional package ``holidays``."""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from jobstore.timetable.rule import Document, Mark
from jobstore.timetable.windows import ClosedDays

MISSING = "holiday calendars need the package `holidays`: pip install 'horarium[calendars]' on every node"


@dataclass(frozen=True, slots=True)
class Holidays(ClosedDays):
    """The public holidays of a country, or of one of its subdivisions."""

    country: str
    subdivision: str | None = None

    @property
    def mark(self) -> Mark:
        """What a preview calls an instant on a holiday."""
        return "holiday_skipped"

    @classmethod
    def of(cls, country: str, subdivision: str | None) -> "Holidays":
        """Return the holidays (raises ValueError: there are none, or the package is not installed)."""
        library = _library()
        known = library.list_supported_countries(include_aliases=False)
        if country not in known:
            raise ValueError(f"no holidays are known for the country {country!r:.40}: use a code such as DE or US")
        if subdivision is not None and subdivision not in known[country]:
            few = ", ".join(known[country][:60]) or "none"
            raise ValueError(f"{country} has no subdivision {subdivision!r:.40}: there are {few}")
        return cls(country, subdivision)

    def __contains__(self, day: date) -> bool:
        return day in _of_year(self.country, self.subdivision, day.year)

    def document(self) -> Document:
        """Return country and subdivision."""
        found: Document = {"country": self.country}
        return found if self.subdivision is None else found | {"subdivision": self.subdivision}

    def words(self) -> str:
        """Return "holidays of DE-BY"."""
        return f"holidays of {self.country}" + (f"-{self.subdivision}" if self.subdivision else "")


def holidays_version() -> str | None:
    """Return the version of the holiday data, None when it is not installed; nodes should agree on it."""
    try:
        return version("holidays")
    except PackageNotFoundError:
        return None


@lru_cache(maxsize=4096)
def _of_year(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    return frozenset(_library().country_holidays(country, subdiv=subdivision, years=year, expand=False))


@lru_cache(maxsize=1)
def _library() -> ModuleType:
    try:
        return import_module("holidays")
    except ImportError as fault:
        raise ValueError(MISSING) from fault
