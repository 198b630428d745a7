"""Windows hold every row once, the same on every call, whatever is on disk."""

from pathlib import Path
from typing import Any

from trimtab.core.plan import Fragment, Plan
from trimtab.runs.store.run import Run
from trimtab.runs.work.units import score_windows, units, windows


def test_windows_hold_each_planned_row_once_and_samples_side_by_side(
    tmp_path: Path, parts: dict[str, Any]
) -> None:
    base = parts["plan"].cells[0]
    cells = (
        base,
        base.model_copy(update={"key": "steered", "condition": "caa", "num_samples": 1}),
        base.model_copy(update={"key": "scored", "output": "options"}),
        base.model_copy(update={"key": "other-model", "model_identity": "n"}),
        base.model_copy(update={"key": "other-set", "samples": "set-2"}),
    )
    plan = Plan.single(recipe="r", name="n", cells=cells, window=4)
    run = Run.create(tmp_path / "run", **{**parts, "plan": plan})
    (fragment,) = run.plan.fragments
    cut = [unit.rows for unit in windows(run, fragment)]
    rows = [row for window in cut for row in window]
    planned = {
        (c.key, s, i) for c in cells for s in run.samples(c.samples) for i in range(c.num_samples)
    }
    assert set(rows) == planned and len(rows) == len(planned)
    assert max(map(len, cut)) == 4
    assert [unit.rows for unit in windows(Run.open(run.dir), fragment)] == cut
    by_key = {c.key: c for c in cells}
    for window in cut:
        kinds = [by_key[key] for key, _, _ in window]
        assert len({(c.model_identity, c.output, c.samples) for c in kinds}) == 1
    # The cells of one sample stand together: 2 + 1 rows of b, then those of a.
    assert rows[:4] == [
        ("cell-1", "b", 0),
        ("cell-1", "b", 1),
        ("steered", "b", 0),
        ("cell-1", "a", 0),
    ]


def test_a_fragment_re_cuts_nothing_and_units_have_names_of_their_own(
    tmp_path: Path, parts: dict[str, Any]
) -> None:
    run = Run.create(tmp_path / "run", **parts)
    before = units(run)
    cell = run.plan.cells[0].model_copy(update={"key": "later", "condition": "later"})
    assert run.extend(Fragment(number=1, reason="more", cells=(cell,)), parts["data"])
    after = units(run)
    assert [unit for unit in after if unit in before] == before
    assert len({unit.name for unit in after}) == len(after)
    later = [unit for unit in after if unit not in before]
    assert {row[0] for unit in later for row in unit.rows} == {"later"}
    assert {unit.kind for unit in later} == {"generate", "score"}, "its judges score it too"


def test_a_judge_has_every_planned_completion_once_whether_it_is_there_or_not(
    tmp_path: Path, parts: dict[str, Any]
) -> None:
    plan = parts["plan"].model_copy(update={"window": 4})
    run = Run.create(tmp_path / "run", **{**parts, "plan": plan})
    (judge,) = run.judges()
    (fragment,) = run.plan.fragments
    rows = [row for unit in score_windows(run, judge, fragment) for row in unit.rows]
    assert rows == [
        *[("cell-1", sample, index) for sample in "abc" for index in (0, 1)],
        ("cell-2", "b", 0),
    ]
