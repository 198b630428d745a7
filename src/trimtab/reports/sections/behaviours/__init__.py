"""What steering did to each behaviour and to what it should leave alone, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.reports.data.run import RunData
from trimtab.reports.draw.figures import Figure
from trimtab.reports.draw.tables import Table
from trimtab.reports.sections.base import Card, Finding, NoConfig, Section, View
from trimtab.reports.sections.behaviours.content import BehavioursContent, read_behaviours
from trimtab.reports.sections.behaviours.figures import behaviour_figure
from trimtab.reports.sections.behaviours.tables import (
    behaviour_cards,
    behaviour_finding,
    behaviour_table,
)

__all__ = ["Behaviours"]


class Behaviours(Section[NoConfig, BehavioursContent]):
    """A/B letters: the probability of the letter that shows a behaviour, and side effects."""

    Config = NoConfig
    order = 10
    alone = True
    terms = (
        (
            "matching / right_letter",
            "P(letter) over both letters, of the answer that shows a behaviour and of the right "
            "one; averaged over the orders that were asked before anything else.",
        ),
    )

    def read(self, run: RunData) -> BehavioursContent | None:
        """Return the behaviours; None for other runs."""
        return read_behaviours(run.numbers, run.plan.baseline)

    def tables(self, view: View[BehavioursContent]) -> Sequence[Table]:
        """Return a row per behaviour."""
        return [behaviour_table(view.content, view.run.shown.tests)]

    def figures(self, view: View[BehavioursContent]) -> Sequence[Figure]:
        """Return every difference in points."""
        return behaviour_figure(view.content, view.run.shown)

    def cards(self, view: View[BehavioursContent]) -> Sequence[Card]:
        """Return each behaviour at its largest strength."""
        return behaviour_cards(view.content)

    def finding(self, view: View[BehavioursContent]) -> Finding:
        """Return what was found on all behaviours."""
        return Finding(40, behaviour_finding(view.content, view.run.shown.tests))

    def headline(self, view: View[BehavioursContent]) -> Sequence[Table]:
        """Return the table without the interval of the baseline."""
        return [behaviour_table(view.content, view.run.shown.tests, compact=True)]
