"""What is owed, what it waits for, and how far a run has come."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from trimtab.core.plan import Cell, CellsRef, FitPlan, JudgePlan, Plan
from trimtab.core.spec import Component, Metric
from trimtab.core.types import Completion, Score
from trimtab.runs.store.run import RowKey, Run
from trimtab.runs.work.state import State, rows_of
from trimtab.runs.work.units import FitUnit, ScoreUnit, Unit, WindowUnit, units

Make = Callable[..., Run]
METRIC = (Metric(name="x", kind="binary", role="effect"),)


def complete(run: Run, keys: Iterable[RowKey]) -> None:
    for cell, sample, index in keys:
        row = Completion(
            cell=cell, sample_id=sample, index=index, protocol="p", num_prompt_tokens=1, text="x",
            finish_reason="eos",
        )  # fmt: skip
        with run.completion_writer(1, cell) as writer:
            writer.append([row])


def score(run: Run, judge: str, keys: Iterable[RowKey]) -> None:
    for cell, sample, index in keys:
        row = Score(cell=cell, sample_id=sample, index=index, judge=judge, values={"x": 1.0})
        with run.score_writer(1, judge, cell) as writer:
            writer.append([row])


def fitted(run: Run, key: str) -> None:
    folder = run.artifact_dir(key)
    folder.mkdir(parents=True)
    (folder / "artifact.json").write_text("{}")


def planned_judge(key: str, **changes: Any) -> JudgePlan:
    fields = {"component": Component(name="exact"), "output": "text", "metrics": METRIC}
    return JudgePlan(key=key, **{**fields, **changes})


@pytest.fixture
def make(tmp_path: Path, parts: dict[str, Any]) -> Make:
    """Return a maker of runs with one sample set of three, in windows of two rows."""

    def make(
        cells: list[Cell] | None = None,
        fits: list[FitPlan] | None = None,
        judges: list[JudgePlan] | None = None,
    ) -> Run:
        plan = Plan.single(
            recipe="r",
            name="n",
            window=2,
            cells=cells or [base(parts)],
            fits=fits or [],
            judges=judges or [],
        )
        return Run.create(tmp_path / "run", parts["config"], plan, parts["data"])

    return make


def base(parts: dict[str, Any], **changes: Any) -> Cell:
    cell: Cell = parts["plan"].cells[0]
    return cell.model_copy(update={"num_samples": 1, **changes})


def of_kind(run: Run, kind: type[Unit]) -> list[Any]:
    return [unit for unit in units(run) if isinstance(unit, kind)]


def test_a_window_owes_what_is_missing_and_a_new_look_sees_what_others_wrote(make: Make) -> None:
    run = make()
    first, second = of_kind(run, WindowUnit)
    before = State(run)
    assert before.owed(first) == [("cell-1", "b", 0), ("cell-1", "a", 0)]
    complete(run, [("cell-1", "a", 0), ("cell-1", "c", 0)])
    assert before.owed(first) == list(first.rows), "one state is one moment"
    now = State(run)
    assert now.owed(first) == [("cell-1", "b", 0)] and now.owed(second) == []
    assert now.is_ready(first) and not now.is_ready(second)
    assert rows_of(now, [first, second]) == (3, 2)


def test_a_window_waits_for_every_artifact_of_its_cells(make: Make, parts: dict[str, Any]) -> None:
    steered = base(parts, key="steered", artifacts={"vector": "k", "gate": "g"})
    other = base(parts, key="other", artifacts={"vector": "k"})
    run = make([base(parts), steered, other])
    window = of_kind(run, WindowUnit)[0]
    assert window.cells == ("cell-1", "steered")
    assert State(run).blocker(window) == "2 of 2 artifacts"
    fitted(run, "k")
    assert State(run).blocker(window) == "1 of 2 artifacts" and not State(run).is_ready(window)
    assert State(run).blocker(of_kind(run, WindowUnit)[1]) is None, (
        "it has no row of the gated cell"
    )
    fitted(run, "g")
    assert State(run).blocker(window) is None and State(run).is_ready(window)


def test_a_fit_owes_each_of_its_artifacts(make: Make) -> None:
    fit = FitPlan(key="f", component=Component(name="x"), artifacts={"near": "f-n", "far": "f-f"})
    run = make(fits=[fit])
    (unit,) = of_kind(run, FitUnit)
    assert unit.kind == "fit" and State(run).owed(unit) == [("f-n", "", 0), ("f-f", "", 0)]
    fitted(run, "f-n")
    assert State(run).owed(unit) == [("f-f", "", 0)] and rows_of(State(run), [unit]) == (2, 1)
    fitted(run, "f-f")
    assert not State(run).is_ready(unit) and rows_of(State(run), [unit]) == (2, 2)


def test_a_fit_waits_for_completions_and_scores_of_all_its_cells(
    make: Make, parts: dict[str, Any]
) -> None:
    cells = [base(parts), base(parts, key="cell-2", condition="second", samples="set-2")]
    fit = FitPlan(
        key="f",
        component=Component(name="energy"),
        owner="judge",
        inputs={
            "fit": CellsRef(cells=("cell-1", "cell-2"), judges=("labels",)),
            "unlabelled": CellsRef(cells=("cell-2",)),
        },
        artifacts={"energy": "f"},
    )
    run = make(cells, [fit], [planned_judge("labels")])
    (unit,) = of_kind(run, FitUnit)
    rows = [("cell-1", sample, 0) for sample in "abc"]
    assert unit.kind == "score"
    assert State(run).blocker(unit) == "3 completions of baseline"
    complete(run, rows)
    assert State(run).blocker(unit) == "3 scores by labels"
    score(run, "labels", rows[:2])
    assert State(run).blocker(unit) == "1 score by labels"
    score(run, "labels", rows[2:])
    assert State(run).blocker(unit) == "1 completion of second"
    complete(run, [("cell-2", "b", 0)])
    assert State(run).blocker(unit) == "1 score by labels"
    score(run, "labels", [("cell-2", "b", 0)])
    assert State(run).is_ready(unit)


def test_a_judge_waits_for_its_whole_window_unless_nothing_makes_the_rest(make: Make) -> None:
    run = make(judges=[planned_judge("exact-1")])
    first, second = of_kind(run, ScoreUnit)
    complete(run, [("cell-1", "a", 0)])
    assert first.rows == (("cell-1", "a", 0), ("cell-1", "b", 0))
    assert State(run).owed(first) == [("cell-1", "a", 0)]
    assert State(run).blocker(first) == "1 completion"
    assert State(run, partial=True).is_ready(first)
    assert not State(run, partial=True).is_ready(second), "of that nothing is there"
    assert rows_of(State(run), [first, second]) == (3, 0), "what is not there yet counts as missing"
    complete(run, [("cell-1", "b", 0)])
    assert State(run).is_ready(first)
    score(run, "exact-1", first.rows)
    assert not State(run).is_ready(first) and rows_of(State(run), [first, second]) == (3, 2)


def test_a_judge_waits_for_its_fit_and_a_panel_for_its_members(make: Make) -> None:
    judges = [
        planned_judge("learned", artifacts={"energy": "e"}),
        planned_judge("panel", members=("learned", "exact-1")),
    ]
    run = make(judges=judges)
    complete(run, [("cell-1", sample, 0) for sample in "abc"])
    learned, panel = (
        next(unit for unit in of_kind(run, ScoreUnit) if unit.judge.key == key)
        for key in ("learned", "panel")
    )
    for partial in (False, True):
        state = State(run, partial=partial)
        assert state.blocker(learned) == "the fit of e"
        assert state.blocker(panel) == "2 scores by learned"
    fitted(run, "e")
    assert State(run).is_ready(learned)
    score(run, "learned", panel.rows)
    score(run, "exact-1", panel.rows[:1])
    assert State(run).blocker(panel) == "1 score by exact-1"
    score(run, "exact-1", panel.rows[1:])
    assert State(run).is_ready(panel)
