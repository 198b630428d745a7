"""Grades, refusals and what no judge could read: three things, counted apart and never mixed."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trimtab.reports.data.blocks import Block, ConditionRows
from trimtab.reports.data.cells import Ints
from trimtab.reports.data.content import Content
from trimtab.reports.data.metrics import Floats, MetricRef
from trimtab.reports.data.run import RunData
from trimtab.reports.draw.format import DASH
from trimtab.reports.draw.tables import Display, Table
from trimtab.reports.draw.values import Cell, Count, Value
from trimtab.reports.sections.base import NoConfig, Section, View

__all__ = ["Grades"]

_REFUSED, _PASS, _CREDIT = "_refused", "_pass", "_credit"


class Tally(Content):
    """What was said of some answers.

    Attributes:
        n: Answers that there should be.
        n_scored: Those with a grade.
        n_refused: Those that were called refusals.
        n_unparsed: Those with neither.
        grades: How often each grade was given.
        mean: Of the grades; None without one.
        sd: Standard deviation of the grades, of a sample; 0 of one grade.
        n_passed: Answers that pass; None where nothing does.
        pass_rate: Their share of all answers: a refusal is no pass.
        pass_rate_scored: Their share of those with a grade.
        credit: Points over the most that all answers could have: a refusal has none. None where
            grades are no points.
        credit_scored: The same of those with a grade.
        refusal_rate: Share of refusals.
        unparsed_rate: Share of what has neither.
    """

    n: int
    n_scored: int
    n_refused: int
    n_unparsed: int
    grades: dict[str, int]
    mean: float | None
    sd: float | None
    n_passed: int | None
    pass_rate: float | None
    pass_rate_scored: float | None
    credit: float | None
    credit_scored: float | None
    refusal_rate: float | None
    unparsed_rate: float | None


class Graded(Content):
    """One graded metric of a measure: tallies by condition, alone and by category and question."""

    measure: str
    metric: str
    conditions: dict[str, Tally]
    categories: dict[str, dict[str, Tally]]
    questions: dict[str, dict[str, Tally]]


class GradesContent(Content):
    """Every graded metric, in plan order."""

    graded: tuple[Graded, ...]


class Grades(Section[NoConfig, GradesContent]):
    """A mean of grades over answers that were not refused hides refusals; both are shown."""

    Config = NoConfig
    order = 45
    terms = (
        (
            "of all / of graded",
            "A refusal is no pass and has no points. It counts among all answers and is left out "
            "of the graded ones.",
        ),
    )

    def read(self, run: RunData) -> GradesContent | None:
        """Return the tallies; None where no judge gives grades and refusals."""
        graded = tuple(_graded(block, ref) for block in run.blocks for ref in _metrics(block))
        return GradesContent(graded=graded) if graded else None

    def tables(self, view: View[GradesContent]) -> Sequence[Table]:
        """Return a row per condition, and a folded one per category and condition."""
        several = len(view.content.graded) > 1
        tables = []
        for graded in view.content.graded:
            more = f"_{graded.metric}" if several else ""
            title = f"Grades: {graded.metric}"
            rows = [(name, tally) for name, tally in graded.conditions.items()]
            tables.append(
                _table(f"grades{more}", title, ("condition",), [((n,), t) for n, t in rows])
            )
            if len(graded.categories) > 1:
                by_category = [
                    ((category, name), tally)
                    for category, some in graded.categories.items()
                    for name, tally in some.items()
                ]
                name = f"grade_categories{more}"
                columns = ("category", "condition")
                tables.append(_table(name, f"{title}, by category", columns, by_category))
        return tables


def _metrics(block: Block) -> Iterator[MetricRef]:
    """Yield each metric that has refusals beside it."""
    given = {(ref.judge, ref.metric.name) for ref in block.metrics}
    for ref in block.metrics:
        if ref.metric.kind == "number" and (ref.judge, ref.metric.name + _REFUSED) in given:
            yield ref


def _graded(block: Block, ref: MetricRef) -> Graded:
    """Return the tallies of a metric: of conditions, and within each category and question."""
    columns = {
        other.metric.name.removeprefix(ref.metric.name): column
        for column, other in enumerate(block.metrics)
        if other.judge == ref.judge and other.metric.name.startswith(ref.metric.name)
    }
    units, category = list(block.clusters), _categories(block)
    conditions: dict[str, Tally] = {}
    categories: dict[str, dict[str, Tally]] = {}
    questions: dict[str, dict[str, Tally]] = {}
    for label, rows in block.conditions.items():
        answers = _answers(rows, columns)
        conditions[label] = _tally(answers, rows.planned)
        planned = _planned(rows, block)
        for unit, count in planned.items():
            questions.setdefault(units[unit], {})[label] = _tally(answers.of([unit]), count)
        for name in dict.fromkeys(category.values()):
            chosen = [unit for unit in planned if category.get(unit) == name]
            if chosen:
                count = sum(planned[unit] for unit in chosen)
                categories.setdefault(name, {})[label] = _tally(answers.of(chosen), count)
    return Graded(
        measure=block.name,
        metric=ref.id,
        conditions=conditions,
        categories=categories,
        questions=questions,
    )


def _categories(block: Block) -> dict[int, str]:
    """Return the category of each question, by its number."""
    named = {block.numbers[s.id]: s.metadata.get("category") for s in block.samples.values()}
    return {unit: name for unit, name in named.items() if isinstance(name, str) and name}


@dataclass(frozen=True)
class _Answers:
    """Values of answers by the ends of their metrics' names, and the number of their question."""

    values: dict[str, Floats]
    units_N: Ints

    def of(self, units: Sequence[int]) -> _Answers:
        """Return the answers to some questions."""
        chosen = np.isin(self.units_N, units)
        return _Answers({k: v[chosen] for k, v in self.values.items()}, self.units_N[chosen])


def _answers(rows: ConditionRows, columns: Mapping[str, int]) -> _Answers:
    cells = list(rows.rows.values())
    return _Answers(
        {k: np.concatenate([c.values_NM[:, m] for c in cells]) for k, m in columns.items()},
        np.concatenate([cell.units_N for cell in cells]),
    )


def _planned(rows: ConditionRows, block: Block) -> dict[int, int]:
    """Return how many answers each question should have."""
    found: Counter[int] = Counter()
    for cell in rows.cells:
        for id in rows.source.samples(cell.samples):
            found[block.numbers[id]] += cell.num_samples
    return found


def _tally(answers: _Answers, planned: int) -> Tally:
    values = answers.values
    grades = [value for value in values[""].tolist() if not math.isnan(value)]
    refused = int(np.count_nonzero(values[_REFUSED] == 1))
    passes = int(np.count_nonzero(values[_PASS] == 1)) if _PASS in values else None
    points = None
    if _CREDIT in values:
        points = math.fsum(value for value in values[_CREDIT].tolist() if not math.isnan(value))
    unread = planned - len(grades) - refused
    return Tally(
        n=planned,
        n_scored=len(grades),
        n_refused=refused,
        n_unparsed=unread,
        grades=dict(Counter(f"{grade:g}" for grade in sorted(grades))),
        mean=statistics.mean(grades) if grades else None,
        sd=None if not grades else statistics.stdev(grades) if len(grades) > 1 else 0.0,
        n_passed=passes,
        pass_rate=_share(passes, planned),
        pass_rate_scored=_share(passes, len(grades)),
        credit=_share(points, planned),
        credit_scored=_share(points, len(grades)),
        refusal_rate=_share(refused, planned),
        unparsed_rate=_share(unread, planned),
    )


def _share(part: float | None, whole: int) -> float | None:
    return None if part is None or not whole else part / whole


def _table(
    name: str, title: str, columns: tuple[str, ...], rows: Sequence[tuple[tuple[str, ...], Tally]]
) -> Table:
    grades = sorted({grade for _, tally in rows for grade in tally.grades}, key=float)
    kinds = {"pass": ("pass_rate", "pass_rate_scored"), "credit": ("credit", "credit_scored")}
    shares = {
        f"{kind} %, {of}": field
        for kind, fields in kinds.items()
        for of, field in zip(("of all", "of graded"), fields, strict=True)
        if any(getattr(tally, fields[0]) is not None for _, tally in rows)
    }
    heads = ("answers", *(f"graded {grade}" for grade in grades), "refused", "not read")
    cells = tuple(
        (
            *names,
            *_cells(tally, grades),
            *(_rate(getattr(tally, field)) for field in shares.values()),
        )
        for names, tally in rows
    )
    note = (
        "Mean and SD are those of the grades alone. Refused: the judge says that the answer "
        "refuses. Not read: there is no reply, or none that is a grade or a refusal."
    )
    display: Display = "open" if len(columns) == 1 else "folded"
    heads = (*columns, *heads, "mean", "SD", *shares)
    return Table(name, title, heads, cells, note, display=display)


def _cells(tally: Tally, grades: Sequence[str]) -> tuple[Cell, ...]:
    return (
        tally.n,
        *(tally.grades.get(grade, 0) for grade in grades),
        Count(tally.n_refused, tally.n),
        Count(tally.n_unparsed, tally.n),
        DASH if tally.mean is None else Value(tally.mean),
        DASH if tally.sd is None else Value(tally.sd),
    )


def _rate(share: float | None) -> Cell:
    return Value(share, form="rate")
