"""What a trigger does to a treated model beyond what it does to the base: 2 x 2 and more."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from trimtab.core.errors import ConfigError, did_you_mean
from trimtab.core.plan import Cell, Plan
from trimtab.reports.data.metrics import metrics_of
from trimtab.reports.data.run import RunData
from trimtab.reports.draw.figures import Figure
from trimtab.reports.draw.tables import Table
from trimtab.reports.sections.base import Card, Finding, Section, View
from trimtab.reports.sections.contrasts.config import ContrastsConfig
from trimtab.reports.sections.contrasts.content import ContrastsContent
from trimtab.reports.sections.contrasts.curves import curve_figures
from trimtab.reports.sections.contrasts.design import axes_of, coordinate_text, planned_contrasts
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

    def require(self, plan: Plan, metrics: Collection[str]) -> None:
        """Raise ConfigError if a metric, treatment or trigger that is named is not planned."""
        config, rule = self.config, self.config.rule
        named: list[tuple[str, str | None, Collection[str]]]
        named = [("metrics", name, metrics) for name in config.metrics]
        treatments, triggers = (
            {coordinate_text(c.coordinates[axis]) for c in plan.cells if axis in c.coordinates}
            for axis in (config.treatment, config.trigger)
        )
        named += [("base", config.base, treatments), ("untriggered", config.untriggered, triggers)]
        if rule is not None:
            named.append(("rule.metric", rule.metric, metrics))
            named.append(("rule.treatment", rule.treatment, treatments))
            named.append(("rule.trigger", rule.trigger, triggers))
        for key, name, known in named:
            if name is not None and name not in known:
                raise ConfigError(
                    f"section 'contrasts': {key} = {name!r} is not in this experiment. "
                    f"{did_you_mean(name, known)}"
                )

    def families(self, plan: Plan) -> Mapping[str, int]:
        """Return how many differences in differences are corrected together, over all measures."""
        axes = axes_of(plan, self.config)
        if axes is None:
            return {}
        measures: dict[str, list[Cell]] = {}
        for cell in plan.cells:
            if cell.purpose == "result":
                measures.setdefault(cell.measure, []).append(cell)
        tests = {
            name: planned_contrasts(cells, axes)
            * sum(ref.metric.role == "effect" for ref in metrics_of(cells[0], plan.judges))
            for name, cells in measures.items()
        }
        return {name: sum(tests.values()) for name, count in tests.items() if count}

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
