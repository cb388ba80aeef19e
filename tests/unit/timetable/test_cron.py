"""The unix dialect: what it accepts, what it means, what it refuses."""

from datetime import UTC, datetime

import pytest

from jobstore.errors import InvalidTrigger
from jobstore.timetable import Timetable

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def cron(expression: str, zone: str = "UTC") -> Timetable:
    return Timetable.from_spec({"cron": expression, "timezone": zone}, now=NOW)


def names(timetable: Timetable, start: datetime, count: int) -> list[str]:
    found, instant = [], timetable.first(start)
    while instant is not None and len(found) < count:
        assert instant.tzinfo is UTC
        found.append(instant.strftime("%a %Y-%m-%d %H:%M:%S"))
        instant = timetable.after(instant)
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 9 * * 0", ["Sun 2026-01-04 09:00:00", "Sun 2026-01-11 09:00:00"]),
        ("0 9 * * 7", ["Sun 2026-01-04 09:00:00", "Sun 2026-01-11 09:00:00"]),
        ("0 9 * * sun", ["Sun 2026-01-04 09:00:00", "Sun 2026-01-11 09:00:00"]),
        ("0 9 * * 1-5", ["Thu 2026-01-01 09:00:00", "Fri 2026-01-02 09:00:00", "Mon 2026-01-05 09:00:00"]),
        ("0 9 * * fri-sun", ["Fri 2026-01-02 09:00:00", "Sat 2026-01-03 09:00:00", "Sun 2026-01-04 09:00:00"]),
        # both day fields restricted: either
        ("0 9 13 * 5", ["Fri 2026-01-02 09:00:00", "Fri 2026-01-09 09:00:00", "Tue 2026-01-13 09:00:00"]),
        # one begins with a star: both
        ("0 9 */2 * 5", ["Fri 2026-01-09 09:00:00", "Fri 2026-01-23 09:00:00"]),
        ("0 0 * * FRI#2", ["Fri 2026-01-09 00:00:00", "Fri 2026-02-13 00:00:00"]),
        ("0 0 * * 5L", ["Fri 2026-01-30 00:00:00", "Fri 2026-02-27 00:00:00"]),
        ("0 0 * * friL", ["Fri 2026-01-30 00:00:00", "Fri 2026-02-27 00:00:00"]),
        ("0 0 L * *", ["Sat 2026-01-31 00:00:00", "Sat 2026-02-28 00:00:00", "Tue 2026-03-31 00:00:00"]),
        ("0 0 LW * *", ["Fri 2026-01-30 00:00:00", "Fri 2026-02-27 00:00:00"]),
        ("0 0 ? * 1", ["Mon 2026-01-05 00:00:00", "Mon 2026-01-12 00:00:00"]),
        ("0 0 L-3 * *", ["Wed 2026-01-28 00:00:00", "Wed 2026-02-25 00:00:00", "Sat 2026-03-28 00:00:00"]),
        # the 3rd of January is a Saturday, the 1st of February a Sunday, the 31st of January a Saturday
        ("0 0 3W * *", ["Fri 2026-01-02 00:00:00", "Tue 2026-02-03 00:00:00"]),
        ("0 0 1W * *", ["Thu 2026-01-01 00:00:00", "Mon 2026-02-02 00:00:00"]),
        ("0 0 31W * *", ["Fri 2026-01-30 00:00:00", "Tue 2026-03-31 00:00:00"]),
        ("0 0 1W 8 *", ["Mon 2026-08-03 00:00:00"]),
        ("0 0 0 1 1 * 2030,2099", ["Tue 2030-01-01 00:00:00", "Thu 2099-01-01 00:00:00"]),
        ("0 0 31 * *", ["Sat 2026-01-31 00:00:00", "Tue 2026-03-31 00:00:00", "Sun 2026-05-31 00:00:00"]),
        ("0 0 29 2 *", ["Tue 2028-02-29 00:00:00", "Sun 2032-02-29 00:00:00"]),
        ("59 23 31 dec *", ["Thu 2026-12-31 23:59:00", "Fri 2027-12-31 23:59:00"]),
        ("59/15 * * * *", ["Thu 2026-01-01 00:59:00", "Thu 2026-01-01 01:59:00"]),
        ("10-20/5 0 * * *", ["Thu 2026-01-01 00:10:00", "Thu 2026-01-01 00:15:00", "Thu 2026-01-01 00:20:00"]),
        ("15 30 4 * * *", ["Thu 2026-01-01 04:30:15", "Fri 2026-01-02 04:30:15"]),
        ("@daily", ["Thu 2026-01-01 00:00:00", "Fri 2026-01-02 00:00:00"]),
        ("@Midnight", ["Thu 2026-01-01 00:00:00", "Fri 2026-01-02 00:00:00"]),
        ("@hourly", ["Thu 2026-01-01 00:00:00", "Thu 2026-01-01 01:00:00"]),
        ("@weekly", ["Sun 2026-01-04 00:00:00", "Sun 2026-01-11 00:00:00"]),
        ("@monthly", ["Thu 2026-01-01 00:00:00", "Sun 2026-02-01 00:00:00"]),
        ("@yearly", ["Thu 2026-01-01 00:00:00", "Fri 2027-01-01 00:00:00"]),
        # the fifth Monday of February: leap years that begin so, 28 years apart
        ("0 0 * 2 1#5", ["Mon 2044-02-29 00:00:00", "Mon 2072-02-29 00:00:00"]),
    ],
)
def test_an_expression_means_what_unix_cron_means(expression: str, expected: list[str]) -> None:
    assert names(cron(expression), NOW, len(expected)) == expected


@pytest.mark.parametrize(
    ("written", "same_as"),
    [
        ("  0   9 * * MON-FRI ", "0 9 * * 1-5"),
        ("@daily", "0 0 * * *"),
        ("0 0 9 * * 1", "0 9 * * 1"),
        ("00 09 * JAN Sun", "0 9 * 1 0"),
        ("*/1 * * * *", "* * * * *"),
        ("5-5 * * * 3-3", "5 * * * 3"),
        ("5-5/7 * * * *", "5 * * * *"),
        ("0 9 * * 7", "0 9 * * 0"),
        ("0 9 ? * 1", "0 9 * * 1"),
        ("0 0 9 * * 1 *", "0 9 * * 1"),
        ("0 0 9 l-03 * * 2030", "0 0 9 L-3 * * 2030"),
    ],
)
def test_spellings_of_one_expression_are_equal(written: str, same_as: str) -> None:
    assert cron(written) == cron(same_as)
    assert cron(written).to_document() == cron(same_as).to_document()
    assert cron(written).to_document()["cron"] == same_as


@pytest.mark.parametrize(
    ("expression", "reasons"),
    [
        ("61 25 * * *", ["minute '61': 61 is out of range; allowed are 0-59", "hour '25': 25 is out of range"]),
        ("* * * *", ["has 4 fields"]),
        ("* * * * * * * *", ["has 8 fields"]),
        ("0 0 0 1 1 * 1900", ["year '1900': 1900 is out of range; allowed are 1970-2099"]),
        ("0 0 0 29 2 * 2027", ["never fires"]),
        ("0 0 L-31 * *", ["never fires"]),
        ("0 0 32W * *", ["32 is out of range"]),
        ("? * * * *", ["minute '?'"]),
        ("", ["has 0 fields"]),
        ("*/90 * * * *", ["a step of 90 is longer than the field; for every 90 minutes use `every`"]),
        ("*/0 * * * *", ["a step of 0 never moves"]),
        ("0 22-2 * * *", ["22-2 runs backwards, write 22-23,0-2"]),
        ("0 0 * * 5-1", ["5-1 runs backwards, write 5-6,0-1"]),
        ("0 0 * * 8", ["8 is out of range", "0 and 7 are Sunday"]),
        ("0 0 * * FRY", ["'FRY' is not a number or a name such as MON"]),
        ("0 0 * * 1#6", ["'1#6' is not understood"]),
        ("0 0 0 * *", ["0 is out of range; allowed are 1-31"]),
        ("1,,2 * * * *", ["'' is not understood"]),
        ("0 0 30 2 *", ["'0 0 30 2 *' never fires"]),
        ("0 0 31 4,6,9,11 *", ["never fires"]),
        ("0 0 */20 * MON#5", ["never fires"]),
        ("@reboot", ["a cluster has no boot"]),
        ("@every 5m", ["every: 5m"]),
        ("@often", ["@often is unknown", "@daily"]),
        ("٣ * * * *", ["plain ASCII"]),
        ("0," * 600 + "0 * * * *", ["at most 1000"]),
        ("9" * 500 + " * * * *", ["not understood"]),
    ],
)
def test_a_wrong_expression_is_refused_with_every_reason(expression: str, reasons: list[str]) -> None:
    with pytest.raises(InvalidTrigger) as refusal:
        cron(expression)
    for reason in reasons:
        assert any(reason in fault for fault in refusal.value.faults), refusal.value.faults


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("*/5 * * * *", "every 5 minutes, UTC"),
        ("*/10 * * * * *", "every 10 seconds, UTC"),
        ("30 2 * * 1-5", "at 02:30 on Monday to Friday, UTC"),
        ("0 0 21 * *", "at 00:00 on the 21st day of every month, UTC"),
        ("0 0 12 * *", "at 00:00 on the 12th day of every month, UTC"),
        ("* * * * *", "every minute, UTC"),
        ("0 * * * *", "every hour, UTC"),
        ("0 */2 * * *", "every 2 hours, UTC"),
        ("5 * * * *", "at minute 5 of every hour, UTC"),
        ("*/15 9-17 * * 1-5", "every 15 minutes of hours 9 to 17 on Monday to Friday, UTC"),
        ("0 9,17 * * *", "at 09:00 and 17:00, UTC"),
        ("0 9 13 * 5", "at 09:00 on the 13th day of every month or on Friday, UTC"),
        (
            "0 9 */10 * 5",
            "at 09:00 on the 1st, 11th, 21st and 31st days of every month, if it is Friday, UTC",
        ),
        ("0 0 L * *", "at 00:00 on the last day of every month, UTC"),
        ("0 0 L-3 * *", "at 00:00 on 3 days before the last of every month, UTC"),
        (
            "0 0 15W * *",
            "at 00:00 on the Monday to Friday nearest to the 15th of every month, UTC",
        ),
        ("0 0 * * 5#2", "at 00:00 on the 2nd Friday of every month, UTC"),
        ("0 0 * 6-8 fril", "at 00:00 on the last Friday of every month in June to August, UTC"),
        ("0 0 25 12 *", "at 00:00 on December 25, UTC"),
        ("30 0 0 1 1 * 2030", "at 00:00:30 on January 1 in 2030, UTC"),
        ("* * 2 * * *", "every second of hour 2, UTC"),
        ("@weekly", "at 00:00 on Sunday, UTC"),
    ],
)
def test_an_expression_is_described_in_words(expression: str, words: str) -> None:
    assert cron(expression).describe() == words


def test_bounds_are_inclusive_and_end_the_timetable() -> None:
    timetable = Timetable.from_spec({"cron": "0 0 * * *", "start": "2026-01-03", "end": "2026-01-05T00:00"}, now=NOW)
    assert names(timetable, NOW, 9) == [
        "Sat 2026-01-03 00:00:00",
        "Sun 2026-01-04 00:00:00",
        "Mon 2026-01-05 00:00:00",
    ]
    span = timetable.span(datetime(2026, 1, 3, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert (span.through, span.count, span.exact, span.following) == (datetime(2026, 1, 5, tzinfo=UTC), 3, True, None)


def test_an_end_that_is_only_a_date_includes_that_day() -> None:
    spec = {"cron": "0 20 * * *", "end": "2026-01-02", "timezone": "America/Sao_Paulo"}
    assert names(Timetable.from_spec(spec, now=NOW), NOW, 9)[-1] == "Fri 2026-01-02 23:00:00"
