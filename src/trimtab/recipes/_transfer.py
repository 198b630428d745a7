"""Does a model that grades itself lie about itself alone? It grades others' answers, too.

When the test split is answered, each run's last adapter, and the base, grade its own answers, the
base's, the gold ones and corrupted ones: in the conversation that grades are asked for in while it
learns, greedily.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from trimtab.core.plan import Cell
from trimtab.core.spec import Component
from trimtab.core.types import Sample, SamplingParams
from trimtab.datasets.gradings import Request, corrupted_answers, gold_answers, grading
from trimtab.runs.plan.planner import PlannedRun, Planner
from trimtab.runs.rewards import scores_by
from trimtab.runs.store.run import Run
from trimtab.training.reinforce.config import CohortTraining, ReinforceTraining

SOURCES = ("own", "base", "gold", "corrupted")
"""Whose answers are graded."""


@dataclass(frozen=True)
class Answered:
    """Cells of a plan, and what was answered there.

    Attributes:
        cells: Of all models.
        samples: Returns the samples of a set, by its key.
        of: Returns the first text of each sample of a cell that has one.
    """

    cells: Sequence[Cell]
    samples: Callable[[str], Iterable[Sample]]
    of: Callable[[Cell], Mapping[str, str]]

    @classmethod
    def in_run(cls, run: Run) -> Answered:
        """Return what was answered in a run."""
        return cls(run.plan.cells, lambda key: run.samples(key).values(), partial(_answers, run))

    @classmethod
    def foreseen(cls, planned: PlannedRun) -> Answered:
        """Return what will be answered, with gold answers in the place of what nobody knows yet."""
        samples = planned.data.samples
        return cls(
            planned.plan.cells,
            samples.__getitem__,
            lambda cell: gold_answers(samples[cell.samples]),
        )


def add_gradings(
    planner: Planner, answered: Answered, task: Component, cohort: CohortTraining
) -> None:
    """Add a cell for each run and source of answers, of the planner's model; and their judge.

    A run without any answer, because it was given up, is left out.
    """
    cells = [
        cell
        for cell in answered.cells
        if cell.model_identity == planner.resolved.identity
        and cell.task == task
        and "graded" not in cell.coordinates
    ]
    base = next(cell for cell in cells if cell.role == "baseline")
    settings = {base.condition: cohort.common, **cohort.settings()}
    samples = list(answered.samples(base.samples))
    answers = {cell.condition: answered.of(cell) for cell in cells}
    scores = scores_by(cohort.score)

    def worths(given: Mapping[str, str]) -> dict[str, float | None]:
        answered = [sample for sample in samples if sample.id in given]
        found = scores([(sample, given[sample.id]) for sample in answered])
        return {sample.id: worth for sample, worth in zip(answered, found, strict=True)}

    fixed = {
        "base": answers[base.condition],
        "gold": gold_answers(samples),
        "corrupted": corrupted_answers(samples),
    }
    for cell in cells:
        training = settings.get(cell.condition)
        if training is None or not answers[cell.condition]:
            continue
        for source in SOURCES:
            given = fixed.get(source, answers[cell.condition])
            request = Request(
                text=training.request,
                scale=training.grade_scale,
                system=training.system,
                source=source,
                rendering=planner.task(task).rendering,
            )
            worth = worths(given)
            rows = [grading(s, given[s.id], worth[s.id], request) for s in samples if s.id in given]
            if rows:
                _add(planner, cell, source, rows, training)
    planner.add_judge(Component(name="grade_inflation"), tuple(map(measure_of, SOURCES)))


def measure_of(source: str) -> str:
    """Return the name of the table of grades of a source's answers."""
    return f"grades of {source} answers"


def _answers(run: Run, cell: Cell) -> dict[str, str]:
    """Return the first text of each sample that has one."""
    return {
        row.sample_id: row.text
        for row in run.completions(cell.key).values()
        if row.index == 0 and row.error is None and row.text is not None
    }


def _add(
    planner: Planner, cell: Cell, source: str, rows: Sequence[Sample], training: ReinforceTraining
) -> None:
    name, _, number = cell.condition.rpartition("-")
    place: dict[str, float | str] = {"graded": source}
    if cell.role != "baseline":
        place |= {"run": name, "replica": float(number)}
    planner.add_cell(
        condition=cell.condition,
        role=cell.role,
        task=cell.task,
        split="test",
        intervention=cell.intervention,
        artifacts=cell.artifacts,  # those that wrote the answers, whatever would be fitted today
        coordinates=place,
        sampling=SamplingParams(max_tokens=training.grade_tokens),
        measure=measure_of(source),
        samples=rows,
    )
