"""Contrast pairs of the solutions that a run's own model wrote."""

from __future__ import annotations

from trimtab.core.types import ContrastPair
from trimtab.datasets.solutions import SolutionCounts, solution_pairs
from trimtab.search.trials import CORRECT, OWN, Records, find_metric


def own_pairs(run: Records) -> tuple[list[ContrastPair], SolutionCounts] | None:
    """Return the pairs, and how many problems gave none; None if no solutions were asked for."""
    cell = next((cell for cell in run.plan.cells if cell.measure == OWN), None)
    if cell is None:
        return None
    scored = find_metric(run.judges(), CORRECT)
    return solution_pairs(
        list(run.samples(cell.samples).values()),
        run.completions(cell.key).values(),
        run.scores(scored.judge.key, cell.key).values(),
        metric=scored.metric.name,
        seed=cell.seed,
    )
