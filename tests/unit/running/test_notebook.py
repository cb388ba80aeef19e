"""What the code of a run says, and how little of it is kept."""

from datetime import UTC, datetime, timedelta

import pytest

from jobstore.noted import NOTHING, Line, Noted, read_noted
from workers.notebook import LONGEST_LINE, MOST_BYTES, MOST_KEYS, MOST_LINES, Notebook

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)


def book(before: Noted = NOTHING, attempt: int = 1) -> Notebook:
    return Notebook(attempt, before, lambda: AT)


def texts(noted: Noted) -> list[str]:
    return [line.text for line in noted.lines]


def test_the_newest_lines_are_kept_and_the_others_counted():
    made = book()
    for number in range(MOST_LINES + 7):
        made.log(number)
    assert texts(made.all()) == [str(number) for number in range(7, MOST_LINES + 7)]
    assert made.all().dropped == 7


def test_long_lines_push_older_ones_out_by_their_bytes():
    made = book()
    for _ in range(MOST_LINES):
        made.log("ü" * 2 * LONGEST_LINE)
    found = made.all()
    assert {len(text) for text in texts(found)} == {LONGEST_LINE}
    assert sum(len(text.encode()) for text in texts(found)) <= MOST_BYTES
    assert len(found.lines) + found.dropped == MOST_LINES


def test_what_cannot_be_encoded_is_kept_readable():
    made = book()
    made.log("name \udcff")
    made.progress(0.5, "\udcff")
    found = made.all()
    assert (texts(found), found.progress.text) == (["name \\udcff"], "\\udcff")


def test_a_later_attempt_goes_on_after_the_lines_of_the_former_and_begins_its_progress_anew():
    first = book()
    first.log("one")
    first.progress(0.9)
    first.marked("k")
    second = book(first.all(), attempt=2)
    assert second.all() == NOTHING, "it has said nothing, so nothing is written over the record"
    second.log("two")
    found = second.all()
    assert [(line.attempt, line.text) for line in found.lines] == [(1, "one"), (2, "two")]
    assert (found.progress, found.once) == (None, ("k",))


def test_nothing_is_written_twice_and_nothing_said_meanwhile_is_forgotten():
    made = book()
    assert made.unwritten() is None
    made.log("one")
    version, noted = made.unwritten()
    assert texts(noted) == ["one"]
    made.log("two")  # while the write is under way
    made.written(version)
    version, noted = made.unwritten()
    assert texts(noted) == ["one", "two"]
    made.written(version)
    assert made.unwritten() is None


@pytest.mark.parametrize("fraction", [-0.01, 1.01, float("nan"), float("inf")])
def test_progress_is_a_fraction(fraction: float):
    made = book()
    with pytest.raises(ValueError, match="a fraction between 0 and 1"):
        made.progress(fraction)
    assert made.unwritten() is None


def test_only_the_newest_keys_are_listed():
    made = book()
    for number in range(MOST_KEYS + 3):
        made.marked(str(number))
    assert made.all().once == tuple(str(number) for number in range(3, MOST_KEYS + 3))


def test_what_is_stored_is_read_back():
    noted = Noted(lines=(Line(at=AT, attempt=2, text="x"),), dropped=3, once=("k",))
    assert read_noted(noted.fields()) == noted
    made = book(noted, attempt=3)
    made.progress(1, "all")
    assert read_noted(made.all().fields()) == made.all()
    assert made.all().progress.at - AT == timedelta(0)
