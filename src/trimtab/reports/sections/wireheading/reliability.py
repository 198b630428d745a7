"""How well a grade tells right answers from wrong ones, before the first round and at the end.

Of held-out items whose grade could be read and whose answer could be scored; an answer is right
from a score of 0.5. Each number is of one seed, and the interval is over seeds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from trimtab.reports.data.cohorts import TrainedRun, mean_known
from trimtab.reports.data.seeds import OverSeeds, over_seeds
from trimtab.reports.draw.tables import Table
from trimtab.reports.sections.wireheading.cells import difference, share
from trimtab.reports.sections.wireheading.content import Reliability
from trimtab.reports.sections.wireheading.reading import items_at, way_of
from trimtab.stats.agreement import auc, cohen_kappa

_HALF = 0.5
_BINS = 10
_COLUMNS = (
    *("condition", "task", "model", "when", "seeds", "grades", "AUC", "kappa", "AUC/kappa of"),
    *("right, of high grades", "right, of low grades", "calibration error"),
)
_NOTE = (
    "Of held-out answers whose grade could be read; means over seeds with 95 % t-intervals over "
    "seeds. AUC: how often a right answer has the better grade than a wrong one, ties by half; 0.5 "
    "is chance. Kappa: agreement of grade and truth beyond chance. Both are undefined where a seed "
    "has only right or only wrong answers, kappa also where all grades and answers are alike; the "
    "column beside them counts the seeds that have each. High grades are those from 0.5. "
    "Calibration error: the mean distance of the grade from the share of right answers in ten bins "
    "of grades, weighted by their answers."
)

Graded = Sequence[tuple[float, bool]]
"""Grade, and whether the answer is right."""


def reliabilities(runs: Sequence[TrainedRun]) -> list[Reliability]:
    """Return a row per model, task, condition and time; none without held-out items."""
    groups: dict[tuple[str, str, str], list[TrainedRun]] = defaultdict(list)
    for run in runs:
        if run.failed is None:
            groups[run.model, run.task, run.condition].append(run)
    found = []
    for (model, task, condition), some in groups.items():
        way = way_of(some)
        for when in ("start", "end") if way is not None else ():
            assert way is not None
            seeds = [_graded(run, way, last=when == "end") for run in some]
            found.append(
                Reliability(
                    model=model,
                    task=task,
                    condition=condition,
                    when=when,
                    seeds=len(seeds),
                    grades=sum(map(len, seeds)),
                    auc=over_seeds([_auc(rows) for rows in seeds]),
                    kappa=over_seeds([_kappa(rows) for rows in seeds]),
                    right_of_high=over_seeds([_right(rows, high=True) for rows in seeds]),
                    right_of_low=over_seeds([_right(rows, high=False) for rows in seeds]),
                    calibration_error=over_seeds([_calibration_error(rows) for rows in seeds]),
                    bins=_bins(seeds),
                )
            )
    return found


def reliability_table(rows: Sequence[Reliability]) -> Table:
    """Return the table of them."""
    shown = tuple(
        (
            *(row.condition, row.task, row.model, row.when, row.seeds, row.grades),
            share(row.auc),
            difference(row.kappa),
            f"{row.auc.seeds}/{row.kappa.seeds}",
            share(row.right_of_high),
            share(row.right_of_low),
            share(row.calibration_error),
        )
        for row in rows
    )
    title = "Does the grade tell right answers from wrong ones?"
    return Table("wireheading_reliability", title, _COLUMNS, shown, _NOTE)


def _graded(run: TrainedRun, way: str, *, last: bool) -> Graded:
    rows = items_at(run, way, last=last)
    return [(g, true >= _HALF) for _, true, _, g in rows if g is not None and true is not None]


def _auc(rows: Graded) -> float | None:
    return auc([grade for grade, _ in rows], [right for _, right in rows]) if rows else None


def _kappa(rows: Graded) -> float | None:
    if len({right for _, right in rows}) < 2:
        return None
    return cohen_kappa([grade >= _HALF for grade, _ in rows], [right for _, right in rows])


def _right(rows: Graded, *, high: bool) -> float | None:
    return mean_known([float(right) for grade, right in rows if (grade >= _HALF) == high])


def _calibration_error(rows: Graded) -> float | None:
    """Return the expected calibration error (Naeini et al. 2015) of grades as probabilities."""
    apart = [abs(math.fsum(g - right for g, right in some)) for some in _binned(rows).values()]
    return math.fsum(apart) / len(rows) if rows else None


def _bins(seeds: Sequence[Graded]) -> tuple[tuple[float, OverSeeds, int], ...]:
    """Return for each bin the mean grade, the share of right answers over seeds, and its grades."""
    binned = [_binned(rows) for rows in seeds]
    found = []
    for number in sorted({number for bins in binned for number in bins}):
        some = [bins[number] for bins in binned if number in bins]
        grades = [grade for rows in some for grade, _ in rows]
        right = [math.fsum(right for _, right in rows) / len(rows) for rows in some]
        found.append((math.fsum(grades) / len(grades), over_seeds(right), len(grades)))
    return tuple(found)


def _binned(rows: Graded) -> dict[int, list[tuple[float, bool]]]:
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for grade, right in rows:
        bins[min(int(grade * _BINS), _BINS - 1)].append((grade, right))
    return bins
