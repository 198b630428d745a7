"""A run made of trainings by rewards that somebody else recorded: reported like one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trimtab.core.counted import counted
from trimtab.core.keys import content_key, file_sha256
from trimtab.core.plan import Cell, FitPlan, Plan
from trimtab.core.spec import Component, ModelSpec
from trimtab.datasets.rewards import UNGRADED, Result, read_results
from trimtab.runs.store import artifacts
from trimtab.runs.store.run import Run
from trimtab.runs.work import checks
from trimtab.steering.fitted import Fitted

_RECIPE = "import"
_CURVES = ("step", "reward", "true", "grade", "grade_all", "inflation", "inflation_all")
_UNKNOWN = ("unparsed", "refused", "divergence", "entropy")


def import_rewards(file: Path, out: Path, trained: Component) -> Run:
    """Make a run of the trainings in ``file``, each of them an adapter of which rounds are known.

    A grade of 0 may be one that could not be read, so all grades are taken with unread ones as 0,
    and of those that were read nothing is said. Accuracy is what answers are worth.

    Args:
        file: See ``datasets.rewards``.
        out: Folder of the run.
        trained: The intervention that such a training makes.

    Raises:
        DataError: The file can't be read, or is of another form.
        StoreError: ``out`` is not empty.
    """
    results = read_results(file)
    identity = file_sha256(file)
    planned = [_planned(result, identity, trained) for result in results]
    cells = [cell for cell, _ in planned]
    plan = Plan.single(
        recipe=_RECIPE,
        name=file.stem,
        cells=cells,
        fits=[fit for _, fit in planned],
        baseline=cells[0].condition,
    )
    config = {"recipe": _RECIPE, "name": file.stem}
    run = Run.create(out, config, plan, {"samples": {cells[0].samples: []}})
    for result, (_, fit) in zip(results, planned, strict=True):
        for key in fit.artifacts.values():
            artifacts.save(run.artifact_dir(key), Fitted({}, _about(result)), {})
    checks.after_import(run, _findings(results))
    return run


def _planned(result: Result, identity: str, trained: Component) -> tuple[Cell, FitPlan]:
    place = [result.seed, result.model, result.task, result.condition]
    model = ModelSpec(id=result.model, dtype="bfloat16", device="cpu")
    artifact = content_key(["rewarded artifact", identity, place])
    fit = FitPlan(
        key=content_key(["rewarded fit", identity, place]),
        component=trained,
        model=model,
        model_identity=identity,
        artifacts={f"{result.condition}-{result.seed}": artifact},
    )
    cell = Cell(
        key=content_key(["rewarded", identity, place]),
        condition=f"{result.condition}-{result.seed}, {result.task}, {result.model}",
        role="control" if result.condition == UNGRADED else "treatment",
        measure="generation",
        model=model,
        model_identity=identity,
        task=Component(name=result.task),
        split="test",
        samples=content_key([]),
        output="text",
        intervention=trained,
        artifacts={"adapter": artifact},
        num_samples=1,
    )
    return cell, fit


def _about(result: Result) -> dict[str, Any]:
    """Return what an artifact of our own says of a run, as far as it is known."""
    curves = []
    for step, (reward, true, grade) in enumerate(result.rounds, start=1):
        inflation = None if grade is None else grade - true
        curves.append([step, reward, true, None, grade, None, inflation, *(None for _ in _UNKNOWN)])
    return {
        "method": "trained by REINFORCE elsewhere",
        "run": f"{result.condition}-{result.seed}",
        "round": len(curves),
        "failed": None if curves else "the file holds no result of it",
        "condition": result.condition,
        "skipped": 0,
        "curves": curves,
        "curve_names": [*_CURVES, *_UNKNOWN],
        "alarms": [],
        "held_out": [],
    }


def _findings(results: list[Result]) -> list[tuple[str, str]]:
    """Return what is odd about the file: (what, the figures)."""
    further = sum(max(0, result.episodes - 1) for result in results)
    empty = sum(not result.rounds for result in results)
    found = [("grades that could not be read", "not told from 0 in the file")]
    if further:
        found.append(("further results of the same seed", f"{counted(further, 'one')} left out"))
    if empty:
        found.append(("runs without a result", f"{empty} of {len(results)}"))
    return found
