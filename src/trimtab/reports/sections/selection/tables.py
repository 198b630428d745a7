"""The table of selectors, and how tables of one set of candidates are called."""

from __future__ import annotations

from trimtab.core.counted import counted
from trimtab.reports.data.numbers import Comparison
from trimtab.reports.data.statistics import can_establish, drawn_clusters
from trimtab.reports.draw.format import DASH, number, p_equals
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell, Value, changed, measured, probability
from trimtab.reports.sections.selection.content import McNemar, Selector, SetNumbers
from trimtab.reports.sections.selection.selectors import ORACLE, RANDOM

# Written by every report, so that nobody takes them for a way to choose.
_BOUNDS = (RANDOM, ORACLE)
_COMPACT = (
    "selector", "right / n", "detectable", "correct %", "Δ random", "Δ majority", "gap %",
)  # fmt: skip
_COLUMNS = (
    "selector", "n", "detectable", "right", "correct %", "Δ random", "Δ majority", "p (majority)",
    "gap %", "test", "McNemar, ties to the earliest",
)  # fmt: skip
_NOTE = (
    "Ties and the random choice are exact expectations. Detectable: the true difference to "
    "majority, in points, that this many problems find 4 times in 5 after correction; none: they "
    "are too few for a difference of any size; a dash: too few choices differ to say. Δ: paired "
    "difference in points, with a bootstrap interval that draws whole problems; * p < 0.05 after "
    "Holm's correction over the selectors of this table. Gap: recovered of the way from random to "
    "the oracle. "
)
_MCNEMAR_NOTE = (
    "McNemar: exact test against the vote that gives ties to the earliest answer (only right "
    "here : only right there, p); empty where a choice is an expectation. "
)


def stem_of(candidates: SetNumbers, what: str) -> str:
    """Return the file name of a table."""
    plain = candidates.condition in ("candidates", "baseline")
    return f"{candidates.measure}_{what}" + ("" if plain else f"_{_place(candidates)}")


def _place(candidates: SetNumbers) -> str:
    return candidates.condition.removeprefix("candidates, ")


def title_of(candidates: SetNumbers, what: str) -> str:
    """Return the heading of a table."""
    condition = "" if candidates.condition == "candidates" else f", {_place(candidates)}"
    return (
        f"{what}: {candidates.measure}{condition}, {counted(candidates.problems, 'problem')}, "
        f"{counted(candidates.candidates, 'candidate')} each, {candidates.split} split"
    )


def selector_table(candidates: SetNumbers, *, compact: bool = False) -> Table:
    """Return a row per selector: accuracy, differences to random and to majority, gap recovered.

    Args:
        candidates: The set.
        compact: Leave out the intervals of accuracies and the tests, for a terminal.
    """
    cells = _compact_cells if compact else _all_cells
    rows = tuple(cells(row, candidates.tests) for row in candidates.selectors)
    note = failures(candidates) + _NOTE + ("" if compact else _MCNEMAR_NOTE)
    columns = _COMPACT if compact else _COLUMNS
    stem, title = stem_of(candidates, "selectors"), title_of(candidates, "Selectors")
    return Table(stem, title, columns, rows, note + _temperatures(candidates))


def _compact_cells(row: Selector, tests: int) -> tuple[Cell, ...]:
    return (
        row.selector,
        f"{_right(row)} / {row.n}",
        _detectable(row.vs_majority, tests),
        measured(row.mean, None, "rate"),
        changed(row.vs_random, "rate"),
        changed(row.vs_majority, "rate"),
        _gap(row, interval=False),
    )


def _all_cells(row: Selector, tests: int) -> tuple[Cell, ...]:
    majority = row.vs_majority
    return (
        row.selector,
        row.n,
        _detectable(majority, tests),
        _right(row),
        measured(row.mean, row.interval, "rate", clusters=drawn_clusters(row)),
        changed(row.vs_random, "rate"),
        changed(majority, "rate"),
        None if majority is None else probability(majority.p),
        _gap(row, interval=True),
        None if majority is None else majority.test,
        _mcnemar(row.mcnemar),
    )


def _right(row: Selector) -> str:
    return f"{row.right:.1f}".removesuffix(".0")


def _gap(row: Selector, *, interval: bool) -> Cell:
    if row.gap is None or row.selector in _BOUNDS:
        return None
    return measured(row.gap.mean, row.gap.interval if interval else None, "rate", clusters=row.n)


def _detectable(comparison: Comparison | None, tests: int) -> Cell:
    if comparison is None:
        return None
    if not can_establish(comparison, tests):
        return "none"
    return Value(comparison.mde, form="rate", change=True)


def _mcnemar(test: McNemar | None) -> str | None:
    return None if test is None else f"{test.wins} : {test.losses}, {p_equals(test.p)}"


def failures(candidates: SetNumbers) -> str:
    """Return how many candidates have no answer or were cut: an accuracy says nothing without."""
    labelled, total = sum(candidates.rules.values()), candidates.completions
    silent = f"{percent(candidates.no_answer, labelled)} have no answer"
    cut = candidates.truncated
    long = "whether any was cut is not known" if cut is None else f"{percent(cut, total)} were cut"
    return f"Of {counted(total, 'candidate')} {silent} and {long}. "


def percent(count: int, total: int) -> str:
    """Return ``7 (29.2 %)``."""
    return DASH if not total else f"{count} ({number(100 * count / total)} %)"


def _temperatures(candidates: SetNumbers) -> str:
    words = [
        f"{name} {heat.value:.3g} ({heat.tuned_on})"
        for name, heat in candidates.temperatures.items()
    ]
    return f"Temperature of weighted votes: {'; '.join(words)}." if words else ""
