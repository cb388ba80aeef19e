"""How long the next run takes, and how many slots what is due wants."""

import pytest

from jobstore.expectations import PATIENCE_S, Due, expected, peak, share


def due(at: float, seconds: float | None, job: str = "j") -> Due:
    return Due(uid="acme-x", job=job, pool="default", at=at, expected_s=seconds)


def test_a_job_that_never_ran_has_no_expectation_and_counts_as_a_slot():
    assert expected([]) is None
    assert share(due(0, None)) == 1.0


def test_one_slow_run_in_ten_does_not_decide_and_three_do():
    assert expected([1.0] * 4 + [60.0] + [1.0] * 5) == 1.0
    assert expected([1.0, 60.0, 1.0, 60.0, 1.0, 60.0, 1.0, 1.0, 1.0, 1.0]) == 60.0


def test_a_job_that_became_slower_is_believed_after_a_few_runs_and_one_that_became_quicker_later():
    slower = next(n for n in range(1, 20) if expected([9.0] * n + [1.0] * (20 - n)) == 9.0)
    quicker = next(n for n in range(1, 21) if expected([1.0] * n + [9.0] * (20 - n)) == 1.0)
    assert (slower, quicker) == (2, 12)


def test_many_short_runs_share_slots_and_long_ones_have_their_own():
    short = [due(100, 0.1) for _ in range(1000)]
    assert peak(short)[0] == pytest.approx(1000 * 0.1 / PATIENCE_S)
    assert peak([due(100, 60.0) for _ in range(1000)])[0] == pytest.approx(1000)


def test_runs_that_do_not_meet_are_not_added_up():
    assert peak([due(0, 10.0), due(10, 10.0), due(20, 10.0)])[0] == 1.0
    assert peak([due(0, 10.0), due(9, 10.0), due(20, 10.0)])[0] == 2.0


def test_the_peak_names_what_makes_it_the_greatest_first():
    early, long, short = due(0, 5.0, "early"), due(90, 60.0, "long"), due(100, 1.0, "short")
    most, causes = peak([short, early, long])
    assert (most, [cause.job for cause in causes]) == (pytest.approx(1.2), ["long", "short"])
    assert peak([]) == (0.0, [])
