"""What a trigger does to a treated model beyond what it does to the base: 2 x 2 and more."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.reports.data.run import RunData
from trimtab.reports.draw.figures import Figure
from trimtab.reports.draw.tables import Table
from trimtab.reports.sections.base import Card, Finding, Section, View
from trimtab.reports.sections.contrasts.config import ContrastsConfig
from trimtab.reports.sections.contrasts.content import ContrastsContent
from trimtab.reports.sections.contrasts.curves import curve_figures
from trimtab.reports.sections.contrasts.figures import condition_figure, forest_figures
from trimtab.reports.sections.contrasts.maps import map_figures
from trimtab.reports.sections.contrasts.reading import read_contrasts
from trimtab.reports.sections.contrasts.tables import (
    category_table,
    condition_tables,
    contrast_table,
    rule_table,
)
from trimtab.reports.sections.contrasts.words import cards, finding

__all__ = ["Contrasts"]


class Contrasts(Section[ContrastsConfig, ContrastsContent]):
    """Every treatment x trigger against the base without one, found by coordinates of cells.

    A rate with a trigger says little: an untouched model may show the behaviour, too. What counts
    is the difference in differences: (treated with the trigger - without) - (base with - without).
    """

    Config = ContrastsConfig
    order = 15
    alone = True
    terms = (
        (
            "difference in differences",
            "What the trigger changes in the treated model, less what it changes in the base.",
        ),
        ("leakage", "The rate of the treated model without the trigger."),
    )

    def read(self, run: RunData) -> ContrastsContent | None:
        """Return the contrasts; None where no cells form a square."""
        return read_contrasts(run, self.config)

    def tables(self, view: View[ContrastsContent]) -> Sequence[Table]:
        """Return the squares, the rule, every condition, and categories."""
        content, run = view.content, view.run
        return [
            contrast_table(content, run),
            *rule_table(content, run),
            *condition_tables(content, run),
            *category_table(content, run),
        ]

    def figures(self, view: View[ContrastsContent]) -> Sequence[Figure]:
        """Return conditions, curves, and forests of differences."""
        content, run = view.content, view.run
        return [
            *condition_figure(content, run),
            *curve_figures(content, run, self.config.steps),
            *map_figures(content, run),
            *forest_figures(content, run),
        ]

    def cards(self, view: View[ContrastsContent]) -> Sequence[Card]:
        """Return the leading contrast."""
        return cards(view.content, view.run)

    def finding(self, view: View[ContrastsContent]) -> Finding | None:
        """Return the leading contrast and what the rule says."""
        return finding(view.content, view.run)

    def headline(self, view: View[ContrastsContent]) -> Sequence[Table]:
        """Return the squares in short, and the rule."""
        content, run = view.content, view.run
        return [contrast_table(content, run, compact=True), *rule_table(content, run)]
