"""What judges that give grades are worth against people's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.reports.data.numbers import Numbers
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell, Value
from trimtab.reports.sections.judging.checks import LabelCheck, Rate, best_checks, rate_cell


class GradeCheck(LabelCheck):
    """A judge's grades against people's, in the unit of the labels.

    Attributes:
        label_mean: Mean of the labels.
        grade_mean: Mean of the judge's grades.
        distance: Mean size of label minus judge.
        same: Share of equal grades.
        rank_correlation: Spearman's.
        length: Rank correlation of what the judge adds with the answer's words.
    """

    label_mean: float | None = None
    grade_mean: float | None = None
    distance: Rate | None = None
    same: Rate | None = None
    rank_correlation: float | None = None
    length: float | None = None


def used_grade_checks(
    numbers: Numbers, checks: Sequence[Mapping[str, Any]]
) -> tuple[GradeCheck, ...]:
    """Return the checks of judges that give a grade in this run."""
    found = best_checks(numbers, checks, ("number", "fraction"))
    return tuple(GradeCheck.pick(check, measure=name, id=id) for name, id, check in found)


def grade_check_table(checks: Sequence[GradeCheck]) -> Table:
    """Return what each judge's grades are worth; without rows if none was checked."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            *(check.judge, check.metric, f"{check.judged}/{check.n}", check.labels_total),
            rate_cell(check.error, "number"),
            rate_cell(check.distance, "number"),
            rate_cell(check.same, "rate"),
            rate_cell(check.kappa, "number"),
            Value(check.rank_correlation),
            Value(check.length),
            check.verdict,
        )
        for check in checks
    )
    columns = ("judge", "metric", "judged", "of labels", "label minus judge", "distance", "same %")
    more = ("kappa", "rank correlation", "length", "verdict")
    note = (
        "Against people's grades. Distance: the mean size of label minus judge. Kappa is weighted "
        "by squared distance: a judge that is off by a constant loses by it, in the rank "
        "correlation it does not. Length: the rank correlation of what the judge adds to the label "
        "with the answer's words; 0 is no bias."
    )
    return Table("grade_checks", "Grades against people's", (*columns, *more), rows, note)
