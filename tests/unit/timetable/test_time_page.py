"""docs/time.md says what the code does: its tables are current, its edge cases are complete and held by tests."""

import re
from pathlib import Path

from tests.support.conformance import CASES
from tests.support.time_tables import PAGE, TABLES, written

TESTS = Path(__file__).parents[2]


def test_the_tables_of_the_page_are_what_the_code_says_now() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"<!-- table: (\w+) -->", page)) == set(TABLES)
    assert written(page) == page, "run: python -m tests.support.time_tables"


def test_every_edge_case_has_a_test_that_exists_or_a_decision() -> None:
    rows = re.findall(
        r"^\| E(\d+) \|.*\| (?:`(test_\w+)`|(decision)) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [int(number) for number, _, _ in rows] == list(range(1, 46))
    defined = {
        name
        for file in TESTS.rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", file.read_text(encoding="utf-8"))
    }
    assert not {test for _, test, _ in rows if test} - defined


def test_one_hundred_cases_are_compared() -> None:
    assert len(CASES) == len(set(CASES)) == 100
