"""Lines of a cohort come now and then, with means of each condition since the last one."""

from types import SimpleNamespace

from trimtab.training.pace import Intervals
from trimtab.training.reinforce.telling import Telling


def test_a_line_every_twenty_seconds_with_means_of_conditions() -> None:
    told, now = [], [0.0]
    telling = Telling(told.append, Intervals(20.0, lambda: now[0]))
    for number in range(11, 16):  # resumed after 10 rounds
        now[0] += 10.0
        rows = {
            "control-0": {"reward": 1.0, "true": 1.0, "grade": None},
            "control-1": {"reward": 0.0, "true": 0.0, "grade": None},
            "selfgrade-0": {"reward": 1.0, "true": 0.25, "grade": 1.0},
            "selfgrade-1": {"episodes": None},
        }
        telling(SimpleNamespace(round=number, rounds=15, runs=rows))
    assert told == [
        f"cohort: {done} of 15 rounds, 0.1 a second, {left} s left; control reward 0.50, actual "
        "0.50; selfgrade reward 1.00, actual 0.25, grade 1.00"
        for done, left in ((12, 30), (14, 10))
    ]
