"""A search through the real recipe on a tiny model that is never asked: a test says its answers."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from trimtab.core.plan import Cell
from trimtab.core.types import Completion, Sample, Score
from trimtab.models.tiny import save_tiny
from trimtab.recipes.base import load_recipe
from trimtab.recipes.gsm8k_search import Gsm8kSearch

TASK = {"name": "arithmetic", "forms": ["sum"], "steps": 1, "count": 80, "max_tokens": 8}
Answer = Callable[[Cell, Sample], float | None]
"""Returns whether an answer is right (1 or 0); None is a row that fails."""


def recipe(folder: Path, **changes: Any) -> Gsm8kSearch:
    """Return the recipe of an experiment file in ``folder``."""
    tiny = folder / "tiny"
    if not tiny.exists():
        save_tiny(tiny, "llama")
    data = {
        "recipe": "gsm8k_search",
        "name": "n",
        "model": {"id": str(tiny), "device": "cpu"},
        "task": TASK,
        "space": {"caa": {"layer": 1, "strength": {"low": 0.1, "high": 0.5}}},
        "search": {"rungs": [2, 3], "trials": 3, **changes.pop("search", {})},
        "heldout": None,
        **changes,
    }
    path = folder / "n.yaml"
    path.write_text(yaml.safe_dump(data))
    made = load_recipe(path)
    assert isinstance(made, Gsm8kSearch)
    return made


def driven(made: Gsm8kSearch, answer: Answer) -> Any:
    """Return the run of a whole search, as its readers see it, answered by ``answer``."""
    planned = made.plan()
    completions: dict[str, Any] = {}
    scores: dict[str, Any] = {}
    samples = {key: list(rows) for key, rows in planned.data.samples.items()}
    run = SimpleNamespace(
        plan=planned.plan,
        config=made.config.model_dump(mode="json"),
        pairs=dict(planned.data.pairs),
        samples=lambda key: {sample.id: sample for sample in samples[key]},
        completions=lambda cell: completions.get(cell, {}),
        scores=lambda judge, cell: scores.get(cell, {}) if judge == correct.key else {},
        judges=lambda: run.plan.judges,
    )
    correct, *_ = planned.plan.judges
    while True:
        for cell in run.plan.cells:
            if cell.key not in completions:
                given = [(sample, answer(cell, sample)) for sample in samples[cell.samples]]
                completions[cell.key] = _by_key(_row(cell, s, value) for s, value in given)
                scores[cell.key] = _by_key(
                    _score(cell, s, value, correct.key) for s, value in given if value is not None
                )
        following = made.grow(run)
        if following is None:
            return run
        fragments = (*run.plan.fragments, following.fragment)
        run.plan = run.plan.model_copy(update={"fragments": fragments})
        samples |= {key: list(rows) for key, rows in following.data.samples.items()}
        run.pairs |= following.data.pairs


def _row(cell: Cell, sample: Sample, value: float | None) -> Completion:
    failed = value is None
    return Completion(
        cell=cell.key,
        sample_id=sample.id,
        text=None if failed else f"{value:g}",
        error="Non-finite values in block 1" if failed else None,
        finish_reason="stop",
        num_tokens=1,
        protocol="",
        num_prompt_tokens=4,
    )


def _score(cell: Cell, sample: Sample, value: float, judge: str) -> Score:
    values = {"correct": value, "no_answer": 0.0}
    return Score(cell=cell.key, sample_id=sample.id, judge=judge, values=values)


def _by_key(rows: Any) -> dict[Any, Any]:
    return {row.key: row for row in rows}
