"""What a condition broke, in a sentence, so that no gain is told without its cost."""

from __future__ import annotations

from trimtab.reports.data.numbers import (
    Comparison,
    MetricInfo,
    MetricNumbers,
    Numbers,
    PerplexityRatio,
)
from trimtab.reports.draw.format import form_of, number, with_interval
from trimtab.reports.sections.effects.words import title_among

_LEAST_POINTS = 0.05
_LEAST_RATIO = 1.1


def cost(numbers: Numbers, condition: str, baseline: str) -> str:
    """Return the damage of ``condition`` against the baseline; "" if there is none to speak of.

    Told are shares that got worse by 5 points or more, a length that at least halved or doubled,
    and a perplexity that rose by a tenth or more; each with an interval that leaves out no change.
    """
    parts = []
    perplexities = [
        (name, found.perplexity_ratio)
        for name, measure in numbers.measures.items()
        for metric in measure.metrics
        if (found := measure.numbers(condition, metric.id)) is not None
        and found.perplexity_ratio is not None
    ]
    for name, measure in numbers.measures.items():
        for metric in measure.metrics:
            steered = measure.numbers(condition, metric.id)
            base = measure.numbers(baseline, metric.id)
            if steered is None or base is None:
                continue
            if metric.role == "damage" and steered.vs_baseline is not None:
                parts += _share(title_among(numbers, name, metric), metric, steered.vs_baseline)
                parts += _length(metric, steered, base, steered.vs_baseline)
    for name, ratio in perplexities:
        parts += _perplexity(ratio, f" in {name}" * (len(perplexities) > 1))
    return f" At a cost: {', '.join(parts)}." if parts else ""


def _share(named: str, metric: MetricInfo, comparison: Comparison) -> list[str]:
    if not metric.is_rate or metric.higher_is_better is None or not _clear(comparison):
        return []
    if -metric.upward * comparison.difference < _LEAST_POINTS:
        return []
    change = with_interval(comparison.difference, comparison.interval, form_of(metric), sign=True)
    return [f"{named} {change} points"]


def _length(
    metric: MetricInfo, steered: MetricNumbers, base: MetricNumbers, comparison: Comparison
) -> list[str]:
    now, before = steered.mean, base.mean
    if metric.name != "words" or not _clear(comparison) or now is None or before is None:
        return []
    if before / 2 < now < before * 2:
        return []
    return [f"{number(now, percent=False)} words for {number(before, percent=False)}"]


def _perplexity(ratio: PerplexityRatio, where: str) -> list[str]:
    if ratio.mean is None or ratio.mean < _LEAST_RATIO:
        return []
    if ratio.interval is None or ratio.interval[0] is None or ratio.interval[0] <= 1:
        return []
    times = with_interval(ratio.mean, ratio.interval, "number")
    return [f"perplexity {times} times the baseline's{where}"]


def _clear(comparison: Comparison) -> bool:
    """Whether the interval leaves out no change."""
    bounds = comparison.interval
    return bounds is not None and not bounds[0] <= 0 <= bounds[1]
