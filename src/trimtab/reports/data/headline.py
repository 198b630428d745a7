"""What a run leads with: its headline metric, and the treatment that moved it most."""

from __future__ import annotations

import math
from collections.abc import Collection

from trimtab.reports.data.conditions import BASELINE, PROMPT, TREATMENT
from trimtab.reports.data.metrics import TRUTH_INFO
from trimtab.reports.data.numbers import Comparison, MetricInfo, MetricNumbers, Numbers
from trimtab.reports.data.randoms import beyond_random
from trimtab.reports.data.statistics import significant

Headline = tuple[str, MetricInfo]
"""A measure and one of its metrics."""


def effects(numbers: Numbers) -> list[Headline]:
    """Return every metric that the experiment is about."""
    return [(name, metric) for name, _, metric in numbers.metrics() if metric.role == "effect"]


def headline_metric(
    numbers: Numbers, wanted: str | None, checked: Collection[str]
) -> Headline | None:
    """Return the metric that a report leads with; None if no metric measures an effect.

    Args:
        numbers: What was measured.
        wanted: The metric that the plan names. Without one, truth and information together lead,
            else the first effect; the opinion of an unchecked judge comes last.
        checked: Keys of the judges that were checked against people.
    """

    def rank(pair: Headline) -> tuple[bool, bool, bool]:
        metric = pair[1]
        named = wanted is not None and wanted in (metric.name, metric.id)
        return not named, not metric.id.startswith(TRUTH_INFO), is_opinion(metric, checked)

    return min(effects(numbers), key=rank, default=None)


def is_opinion(metric: MetricInfo, checked: Collection[str]) -> bool:
    """Return whether it is the probability of a judge that nobody checked against people."""
    return metric.name.endswith("_p") and metric.judge not in checked


def treatment_comparisons(
    numbers: Numbers, measure: str, metric: MetricInfo
) -> dict[str, Comparison]:
    """Return each treatment's comparison with the baseline in a metric."""
    entries = numbers.measures[measure].conditions
    return {
        label: comparison
        for label in numbers.labels(TREATMENT)
        if label in entries
        and (comparison := entries[label].metrics[metric.id].vs_baseline) is not None
    }


def established(numbers: MetricNumbers) -> bool:
    """Return whether an effect is one: significant, and more than random vectors have, if any."""
    return significant(numbers.vs_baseline) and beyond_random(numbers) is not False


def largest_gains(numbers: Numbers, headline: Headline | None) -> list[str]:
    """Return the treatments with the largest gain in the headline metric: several if equal.

    Gains that are established come before others. One of a single question or cluster is none, nor
    is one of zero or less.
    """
    if headline is None:
        return []
    (name, metric), measure = headline, numbers.measures[headline[0]]
    gains = {
        label: metric.upward * comparison.difference
        for label, comparison in treatment_comparisons(numbers, name, metric).items()
        if comparison.num_clusters > 1 and metric.upward * comparison.difference > 0
    }
    sure = [g for g in gains if established(measure.conditions[g].metrics[metric.id])]
    chosen = {label: gains[label] for label in sure or gains}
    most = max(chosen.values(), default=0.0)
    return [label for label, gain in chosen.items() if math.isclose(gain, most, rel_tol=1e-9)]


def shown_first(numbers: Numbers, best: str | None) -> list[str]:
    """Return the baseline, the prompt and the treatments that moved the headline metric most."""
    treatments = numbers.labels(TREATMENT)
    members = {c.condition: c.members[:1] for c in numbers.conditions if c.members}
    chosen = [*([best] if best else treatments[:1]), *treatments[-1:]]
    # a pool has no answers of its own
    leading = [label for name in chosen for label in members.get(name, (name,))]
    return [*numbers.labels(BASELINE, PROMPT), *leading]
