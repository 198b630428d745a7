"""A page holds all answers of a run, or some questions of a large one and says how many."""

from reported_run import build_run

from trimtab.reports.data.run import RunData
from trimtab.reports.page.browser import browser_data, to_script


def test_small_runs_are_shown_whole() -> None:
    run = RunData(build_run(num=12))
    (measure,) = browser_data(run.blocks, "baseline", ["baseline"])
    assert measure["total"] == len(measure["questions"]) == 12
    assert [question["id"] for question in measure["questions"]] == sorted(
        question["id"] for question in measure["questions"]
    )


def test_of_large_runs_the_same_questions_are_shown_each_time_and_no_more_than_fit() -> None:
    run = RunData(build_run(num=40))
    (whole,) = browser_data(run.blocks, "baseline", [])
    limit = len(to_script(whole["questions"])) // 4
    (some,) = browser_data(run.blocks, "baseline", [], limit)
    (again,) = browser_data(RunData(build_run(num=40, reverse=True)).blocks, "baseline", [], limit)
    assert some == again
    assert some["total"] == 40 and 5 <= len(some["questions"]) <= 12
    assert len(to_script(some["questions"])) <= limit + 2
    at = [whole["questions"].index(question) for question in some["questions"]]
    assert at == sorted(at), "in the order of the run"
    assert at != list(range(len(at))), "drawn from all of it, not its beginning"
    (one,) = browser_data(run.blocks, "baseline", [], 10)
    assert len(one["questions"]) == 1
