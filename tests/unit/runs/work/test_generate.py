"""Windows hold every row once, the same on every call, whatever is on disk."""

from pathlib import Path
from typing import Any

from trimtab.runs.store.run import Run
from trimtab.runs.work.generate import windows


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
    plan = parts["plan"].model_copy(update={"cells": cells, "window": 4})
    run = Run.create(tmp_path / "run", **{**parts, "plan": plan})
    cut = windows(run, cells)
    rows = [row for window in cut for row in window]
    planned = {
        (c.key, s, i) for c in cells for s in run.samples(c.samples) for i in range(c.num_samples)
    }
    assert set(rows) == planned and len(rows) == len(planned)
    assert max(map(len, cut)) == 4
    assert windows(Run.open(run.dir), cells) == cut
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
