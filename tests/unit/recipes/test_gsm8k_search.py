"""What a search fits on: the task's pairs, the model's own solutions, or the trials' problems."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from driven_search import recipe

from trimtab.core.errors import ConfigError
from trimtab.core.types import Completion, Score
from trimtab.runs.plan.planner import PlannedRun
from trimtab.search.trials import OWN


def answered(planned: PlannedRun, right: dict[int, set[int]]) -> Any:
    """Return a run of the plan's first fragment; ``right`` holds the right indices by problem."""
    cell = next(cell for cell in planned.plan.cells if cell.measure == OWN)
    samples = {sample.id: sample for sample in planned.data.samples[cell.samples]}
    completions, scores = {}, {}
    (judge, *_) = planned.plan.judges
    for number, sample in enumerate(samples):
        for index in range(cell.num_samples):
            text = f"so {index}"
            given = {"cell": cell.key, "sample_id": sample, "index": index}
            row = Completion(
                **given,
                text=text,
                finish_reason="stop",
                num_tokens=2 + index,
                protocol="",
                num_prompt_tokens=4,
            )
            values = {"correct": float(index in right.get(number, set())), "no_answer": 0.0}
            completions[row.key] = row
            scores[row.key] = Score(**given, judge=judge.key, values=values)
    return SimpleNamespace(
        plan=planned.plan,
        samples=lambda key: {s.id: s for s in planned.data.samples[key]},
        completions=lambda key: completions if key == cell.key else {},
        scores=lambda judge_key, key: scores if (judge_key, key) == (judge.key, cell.key) else {},
        judges=lambda: planned.plan.judges,
    )


def test_fits_read_the_models_own_solutions(tmp_path: Path) -> None:
    made = recipe(tmp_path, own_solutions={"samples": 3})
    planned = made.plan()
    (cell,) = (cell for cell in planned.plan.cells if cell.measure == OWN)
    assert (cell.split, cell.num_samples, cell.purpose) == ("fit", 3, "tuning")
    assert cell.sampling is not None and cell.sampling.temperature == 0.8
    run = answered(planned, right={0: {1}, 1: {0, 1, 2}, 4: {0, 2}})
    planner = made.planner(made._fit_on)
    made._pairs(made._searching(planner)).give(planner, run)
    (pairs,) = planner.data.pairs.values()
    first, fifth = (list(planned.data.samples[cell.samples])[n] for n in (0, 4))
    assert [pair.question_id for pair in pairs] == [first.id, fifth.id]
    assert pairs[0].positive == "so 1" and pairs[1].negative == "so 1"
    few = answered(planned, right={0: {1}})
    with pytest.raises(ConfigError, match=r"no contrast: 1 of \d+ problems gave a pair"):
        made._pairs(made._searching(made.planner())).give(made.planner(made._fit_on), few)
