"""Which tz database is in use."""

import zoneinfo
from pathlib import Path

import pytest
import tzdata

from jobstore.timetable.zones import read_zone, tz_version, use_pinned_tzdata


@pytest.fixture(autouse=True)
def _same_path_afterwards() -> object:
    before = zoneinfo.TZPATH
    yield
    zoneinfo.reset_tzpath(before)
    zoneinfo.ZoneInfo.clear_cache()
    read_zone.cache_clear()


def test_the_pinned_wheel_is_named() -> None:
    use_pinned_tzdata()
    assert tz_version() == f"{tzdata.IANA_VERSION} (tzdata wheel)"
    assert str(read_zone("Europe/Berlin")) == "Europe/Berlin"


@pytest.mark.parametrize(
    ("name", "text", "version"),
    [("tzdata.zi", "# version 2019c\n", "2019c"), ("+VERSION", "2020a\n", "2020a"), ("other", "", "unknown")],
)
def test_the_machines_own_database_is_named_with_its_place(tmp_path: Path, name: str, text: str, version: str) -> None:
    (tmp_path / "UTC").write_bytes(b"TZif")
    (tmp_path / name).write_text(text)
    zoneinfo.reset_tzpath([str(tmp_path)])
    assert tz_version() == f"{version} ({tmp_path})"
