"""What each condition changed against the baseline: means, differences, strength and trade-off."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.reports.data.content import Content
from trimtab.reports.data.run import RunData
from trimtab.reports.draw.figures import Figure
from trimtab.reports.draw.tables import Table
from trimtab.reports.sections.base import Card, Finding, NoConfig, Section, View
from trimtab.reports.sections.effects.figures import strength_figure, tradeoff_figure
from trimtab.reports.sections.effects.finding import effect_cards, effect_finding
from trimtab.reports.sections.effects.tables import condition_table, has_effects, numbers_table

__all__ = ["Effects"]


class EffectsContent(Content):
    """What a run leads with.

    Attributes:
        measure: Measure of the headline metric; None if no metric measures an effect.
        metric: Id of the headline metric.
        best: The treatment that moved it most; None without data.
    """

    measure: str | None
    metric: str | None
    best: str | None


class Effects(Section[NoConfig, EffectsContent]):
    """The effects of every condition, measure by measure; the numbers are those of ``measures``."""

    Config = NoConfig
    order = 30
    terms = (
        ("truth·info", "Truthful and informative at once, per answer; unscored if either is."),
        ("two_option", "Averaged over both orders of the two options before anything else."),
        (
            "random, pooled",
            "Random vectors of one length at one place, averaged over draws for each question.",
        ),
    )

    def read(self, run: RunData) -> EffectsContent | None:
        """Return what the run leads with; None for a plan without cells."""
        if not run.numbers.measures:
            return None
        measure, metric = run.headline or (None, None)
        return EffectsContent(
            measure=measure, metric=None if metric is None else metric.id, best=run.best
        )

    def tables(self, view: View[EffectsContent]) -> Sequence[Table]:
        """Return a table per measure that has an effect, and all numbers as a file."""
        effects = [
            condition_table(view.run, name)
            for name, measure in view.run.shown.measures.items()
            if has_effects(measure)
        ]
        return [*effects, numbers_table(view.run.shown)]

    def figures(self, view: View[EffectsContent]) -> Sequence[Figure]:
        """Return effect and damage against strength, and effect against damage."""
        return [*strength_figure(view.run.shown), *tradeoff_figure(view.run)]

    def cards(self, view: View[EffectsContent]) -> Sequence[Card]:
        """Return the headline metric of the baseline, the prompt and the best treatment."""
        return effect_cards(view.run)

    def finding(self, view: View[EffectsContent]) -> Finding:
        """Return what the best treatment changed, and at which cost."""
        return effect_finding(view.run)

    def headline(self, view: View[EffectsContent]) -> Sequence[Table]:
        """Return the effects without the intervals of means."""
        return [
            condition_table(view.run, name, compact=True)
            for name, measure in view.run.shown.measures.items()
            if measure.split in view.run.shown_splits and has_effects(measure)
        ]
