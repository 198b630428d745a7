import re
from pathlib import Path

from matplotlib.figure import Figure as Canvas

from trimtab.reports.data.numbers import Comparison, Estimate
from trimtab.reports.draw.figures import Figure
from trimtab.reports.sections.search.content import Confirmed, SearchContent, TrialNumbers
from trimtab.reports.sections.search.coordinates import coordinates_figure
from trimtab.reports.sections.search.figures import history_figure, slice_figure
from trimtab.reports.sections.search.finding import sentence
from trimtab.reports.sections.search.front import front_figure
from trimtab.reports.sections.search.tables import confirmed_table, setting, told, trials_table

NOTHING = Estimate(mean=None, interval=None, method=None, num_clusters=0)


def mean(value: float) -> Estimate:
    return Estimate(
        mean=value, interval=(value - 0.1, value + 0.1), method="wilson", num_clusters=40
    )


def change(difference: float, p: float) -> Comparison:
    return Comparison(
        n=40,
        difference=difference,
        interval=(difference - 0.05, difference + 0.05),
        p=p,
        p_holm=p,
        test="McNemar",
        wins=0,
        losses=0,
        ties=0,
        mde=0.12,
        num_clusters=40,
    )


def trial(number: int, value: float, **more) -> TrialNumbers:
    given = {
        "batch": 1,
        "method": "caa",
        "state": "complete",
        "why": None,
        "rungs": 2,
        "select": mean(value),
        "change": change(value - 0.4, 0.2),
        "params": {
            "method": "caa",
            "caa.layer": 12.0,
            "caa.strength": 0.3,
            "caa.strength.sign": "-",
        },
        "means": {},
        "unchanged": False,
        "feasible": True,
    }
    return TrialNumbers(number=number, **{**given, **more})


def content(confirm: Comparison, test: Comparison | None) -> SearchContent:
    own = {"method": "baseline", "params": {}, "change": None}
    failed = {"state": "failed", "select": NOTHING, "why": "Non-finite values", "change": None}
    return SearchContent(
        objective="correct",
        kind="binary",
        high=True,
        second=None,
        second_high=True,
        front=(),
        sampler="tpe",
        pruner="wilcoxon",
        trials=(trial(0, 0.4, **own), trial(2, 0.6), trial(3, 0.5, **failed)),
        confirmed=(
            Confirmed(
                number=2,
                condition="trial 2",
                select=mean(0.6),
                confirm=mean(0.45),
                change=confirm,
                test=None if test is None else mean(0.42),
                test_change=test,
            ),
        ),
        winner=2,
        configuration={"name": "caa"},
        tests=1,
        test_tests=1,
        leak=False,
        own_solutions=None,
        optimism=0.08,
        importance={},
        rows=80,
        rows_unpruned=160,
    )


def test_a_trial_is_told_with_its_signed_settings() -> None:
    assert told(trial(2, 0.6)) == "caa: layer 12, strength \N{MINUS SIGN}0.3"
    assert setting(trial(2, 0.6), "caa.strength") == -0.3
    assert setting(trial(2, 0.6), "pca.strength") is None


def test_the_test_split_alone_says_whether_it_helps() -> None:
    null = sentence(content(change(0.2, 0.001), change(0.01, 0.7)))
    assert "Steering is not shown to help: on 40 test problems correct changes by +1.0" in null
    assert "no difference that this test can tell from none" in null
    assert "would miss a true difference below 12.0 points more than one time in five" in null
    few = change(0.01, 0.7).model_copy(update={"num_clusters": 3})
    assert "no difference of any size could be" in sentence(content(change(0.2, 0.001), few))
    assert "No configuration beats the baseline" not in null and "as good" not in null
    gain = sentence(content(change(0.2, 0.001), change(0.2, 0.001)))
    assert "Steering helps" in gain
    loss = sentence(content(change(0.2, 0.001), change(-0.2, 0.001)))
    assert "Steering hurts" in loss


def test_a_tie_is_told_as_one() -> None:
    found = content(change(0.05, 0.4), None)
    (winner,) = found.confirmed
    tied = winner.model_copy(update={"number": 3, "condition": "trial 3"})
    worse = tied.model_copy(update={"number": 4, "confirm": mean(0.4)})
    told_so = sentence(found.model_copy(update={"confirmed": (winner, tied, worse)}))
    assert "with 1 other as good on confirm" in told_so
    assert "as good on confirm" not in sentence(found)


def test_a_gain_on_select_that_confirm_does_not_show_is_told_as_none() -> None:
    text = sentence(content(change(0.05, 0.4), None))
    assert "No configuration beats the baseline there." in text
    assert "The test split is not opened yet." in text
    assert "helps" not in text


def test_tables_show_what_was_lost_and_no_value_for_a_failure() -> None:
    found = content(change(0.05, 0.4), None)
    (row,) = confirmed_table(found).texts
    assert row[0] == "trial 2 (winner)" and row[4] == "15.0"
    failed = trials_table(found).texts[-1]
    assert failed[3] == "failed" and failed[-1] == "Non-finite values"
    assert "*" not in "".join(failed)


def two_objectives(state="complete") -> SearchContent:
    """Return a search of two methods, one of them with a single setting."""
    caa = [
        trial(n, n / 10, state=state if n == 4 else "complete", means={"loss": n / 4},
              params={"method": "caa", "caa.layer": 12.0 + n % 2, "caa.strength": n / 9,
                      "caa.strength.sign": "+-"[n % 2], "caa.positions": '"all"'})
        for n in range(2, 7)
    ]  # fmt: skip
    pca = [
        trial(n, 0.3, method="pca", means={"loss": 0.1}, params={"method": "pca", "pca.layer": n})
        for n in (7, 8)
    ]
    own = trial(0, 0.4, method="baseline", params={}, change=None, means={"loss": 1.0})
    found = content(change(0.2, 0.001), None)
    update = {"trials": (own, *caa, *pca), "second": "loss", "second_high": False, "front": (6, 7)}
    return found.model_copy(update=update)


def drawn(figures: list[Figure], folder: Path) -> list[str]:
    """Write figures and return the letters of the pictures, a line each."""
    written = [path for figure in figures for path in figure.write(folder)]
    svg = "".join(path.read_text() for path in written if path.suffix == ".svg")
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_parallel_coordinates_have_an_axis_for_each_setting_that_varies(tmp_path: Path) -> None:
    (figure,) = coordinates_figure(two_objectives(state="pruned"))
    assert {row[0] for row in figure.rows} == {"caa"}, "pca has one setting"
    assert {row[3] for row in figure.rows} == {"caa.layer", "caa.strength"}
    assert ("caa", 5, "complete", "caa.strength", -5 / 9, 50.0) in figure.rows
    texts = drawn([figure], tmp_path)
    assert {"caa", "layer", "strength", "correct %", "12", "13"} <= set(texts)
    assert coordinates_figure(content(change(0.1, 0.2), None)) == []


def test_the_front_shows_both_objectives_and_what_was_compared_again(tmp_path: Path) -> None:
    (figure,) = front_figure(two_objectives())
    assert (6, "caa", 60.0, 1.5, True, False) in figure.rows
    assert (2, "caa", 20.0, 0.5, False, True) in figure.rows
    texts = drawn([figure], tmp_path)
    assert "loss (less is better)" in texts and "Pareto front" in texts
    assert front_figure(content(change(0.1, 0.2), None)) == []
    columns = confirmed_table(two_objectives()).columns
    assert columns[3] == "loss" and confirmed_table(two_objectives()).texts[0][3] == "0.50"


def test_slices_and_history_are_drawn_for_every_state(tmp_path: Path) -> None:
    found = two_objectives(state="pruned")
    texts = drawn([*slice_figure(found), *history_figure(found)], tmp_path)
    assert {"method", "caa.layer", "caa.strength", "caa, pruned", "baseline"} <= set(texts)


def test_what_is_beyond_a_constraint_is_no_best_so_far() -> None:
    barred = trial(4, 0.9, feasible=False, why="repetition is 0.25, at most 0.1 is allowed")
    found = content(change(0.1, 0.2), None).model_copy(
        update={"trials": (trial(0, 0.4, method="baseline"), trial(3, 0.5), barred, trial(5, 0.6))}
    )
    (figure,) = history_figure(found)
    assert [row[2] for row in figure.rows[1:]] == ["complete", "beyond a constraint", "complete"]
    canvas = Canvas()
    figure.plot(canvas)
    (line,) = (line for line in canvas.axes[0].lines if line.get_label() == "best so far")
    assert list(line.get_ydata()) == [50.0, 60.0]
    assert "at most 0.1 is allowed" in trials_table(found).texts[2][-1]
