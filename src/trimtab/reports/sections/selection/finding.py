"""What choosing among candidates gained: cards, and in words."""

from __future__ import annotations

from trimtab.core.counted import counted
from trimtab.reports.data.statistics import drawn_clusters, significant
from trimtab.reports.draw.format import DASH, with_interval
from trimtab.reports.draw.values import changed, measured, write_cell
from trimtab.reports.sections.base import Card
from trimtab.reports.sections.effects.words import power_of
from trimtab.reports.sections.selection.content import SelectionContent, Selector, SetNumbers
from trimtab.reports.sections.selection.selectors import MAJORITY, ORACLE, RANDOM


def selection_cards(candidates: SetNumbers) -> list[Card]:
    """Return each accuracy and its difference to majority: what bounds rankings, and rankings."""
    cards = []
    for name in (RANDOM, MAJORITY, *candidates.selectors_by_ranking, ORACLE):
        row = candidates.selector(name)
        if row is not None:
            against = write_cell(changed(row.vs_majority, "rate")).text
            detail = f"Δ majority {against}" if against else f"n = {row.n}"
            cards.append(
                Card(
                    f"{name} %",
                    measured(row.mean, row.interval, "rate", clusters=drawn_clusters(row)),
                    detail,
                )
            )
    return cards


def selection_finding(content: SelectionContent) -> str | None:
    """Return in words how each ranking does against majority; None without candidates."""
    candidates = content.leading
    if candidates is None:
        return None
    random, majority, oracle = (
        f"{_percent(candidates.selector(name))} %" for name in (RANDOM, MAJORITY, ORACLE)
    )
    text = (
        f"Of {counted(candidates.candidates, 'candidate')} for each of "
        f"{counted(candidates.problems, 'problem')}, a random one is right on {random}, the "
        f"majority's answer on {majority}, the oracle's on {oracle}."
    )
    for name in candidates.selectors_by_ranking:
        if (row := candidates.selector(name)) is not None:
            text += f" {_against_majority(row, candidates.tests)}"
    return text


def _percent(row: Selector | None) -> str:
    return DASH if row is None else with_interval(row.mean, row.interval, "rate")


def _against_majority(row: Selector, tests: int) -> str:
    comparison = row.vs_majority
    share = f"{row.selector.capitalize()} is right on {_percent(row)} %"
    if comparison is None:
        return f"{share}."
    change = with_interval(comparison.difference, comparison.interval, "rate", sign=True)
    if significant(comparison):
        verb = "beats" if comparison.difference > 0 else "is worse than"
    else:
        verb = "does not differ significantly from"
    power = "" if significant(comparison) else power_of(comparison, "rate", tests)
    return f"{share} and {verb} majority ({change} points, n = {comparison.n}{power})."
