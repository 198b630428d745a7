"""What else changed, beside the metric that the report leads with."""

from __future__ import annotations

import math

from trimtab.reports.data.headline import (
    effects,
    established,
    is_opinion,
    treatment_comparisons,
)
from trimtab.reports.data.numbers import MetricInfo
from trimtab.reports.data.run import RunData
from trimtab.reports.data.statistics import significant
from trimtab.reports.sections.effects.words import change, title_among


def other_effects(run: RunData, headline: str, metric: MetricInfo) -> str:
    """Return the largest established change in every other effect metric, and what is none."""
    changes, as_random = [], []
    for name, other in effects(run.shown):
        if (name, other.id) == (headline, metric.id):
            continue
        found = {
            label: comparison
            for label, comparison in treatment_comparisons(run.shown, name, other).items()
            if significant(comparison)
        }
        entries = run.shown.measures[name].conditions
        sure = {
            label: c for label, c in found.items() if established(entries[label].metrics[other.id])
        }
        if sure:
            most = max(abs(comparison.difference) for comparison in sure.values())
            equal = [x for x, c in sure.items() if math.isclose(abs(c.difference), most)]
            whose = " by an unchecked judge" if is_opinion(other, run.checked_judges) else ""
            told = change(sure[equal[0]], other)
            changes.append(
                f"{title_among(run.shown, name, other)}{whose} {told} ({' and '.join(equal)})"
            )
        elif found:
            as_random.append(title_among(run.shown, name, other))
    text = ""
    if changes:
        text += f" Other metrics that changed significantly, most of all: {', '.join(changes)}."
    if as_random:
        text += f" Not shown to change more than under random vectors: {', '.join(as_random)}."
    return text
