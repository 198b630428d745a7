"""What the effects say, in plain words, with what this run could not have seen beside it."""

from __future__ import annotations

from trimtab.reports.data.conditions import PROMPT
from trimtab.reports.data.headline import effects, is_opinion, treatment_comparisons
from trimtab.reports.data.numbers import Comparison, MetricInfo, MetricNumbers
from trimtab.reports.data.run import RunData
from trimtab.reports.data.statistics import significant
from trimtab.reports.draw.format import (
    form_of,
    label,
    number,
    p_equals,
    scale,
    title,
    with_interval,
)
from trimtab.reports.draw.values import changed, estimated, write_cell
from trimtab.reports.sections.base import Card, Finding
from trimtab.reports.sections.effects.cost import cost


def effect_finding(run: RunData) -> Finding:
    """Return the run's main result, and what else is significant; no more than numbers carry."""
    if run.headline is None:
        return Finding(0, "No metric of this run measures an effect.")
    name, metric = run.headline
    if run.best is None:
        text = f"No treatment has {title(metric)} values that can be compared with the baseline."
        return Finding(10, text)
    numbers = run.shown.measures[name].conditions[run.best].metrics[metric.id]
    comparison = numbers.vs_baseline
    assert comparison is not None, "the best treatment is one that was compared"
    change, prompt = _change(comparison, metric), _prompt_alone(run, name, metric)
    also = _also(run, name, metric)
    if significant(comparison) and metric.upward * comparison.difference > 0:
        verb = "raised" if metric.upward > 0 else "lowered"
        return Finding(
            30,
            f"{run.best} {verb} {title(metric)} by {change} against the baseline "
            f"({p_equals(comparison.p_holm, 'Holm p')}, n = {comparison.n})"
            f"{_against_random(numbers, metric.upward)}{prompt}."
            f"{cost(run.shown, run.best, run.plan.baseline)}{also}",
        )
    return Finding(
        30,
        f"No treatment improved {title(metric)} significantly (Holm, {run.shown.tests} tests): "
        f"the best, {run.best}, differs from the baseline by {change} "
        f"(n = {comparison.n}{_power(comparison, metric)}){prompt}.{also}",
    )


def _change(comparison: Comparison, metric: MetricInfo) -> str:
    text = with_interval(comparison.difference, comparison.interval, form_of(metric), sign=True)
    return f"{text} points" if metric.is_rate else text


def _also(run: RunData, headline: str, metric: MetricInfo) -> str:
    """Return the largest significant change in every other effect metric."""
    changes = []
    for name, other in effects(run.shown):
        comparisons = {
            label: comparison
            for label, comparison in treatment_comparisons(run.shown, name, other).items()
            if significant(comparison)
        }
        if comparisons and (name, other.id) != (headline, metric.id):
            most = max(comparisons, key=lambda label: abs(comparisons[label].difference))
            whose = " by an unchecked judge" if is_opinion(other, run.checked_judges) else ""
            changes.append(f"{title(other)}{whose} {_change(comparisons[most], other)} ({most})")
    if not changes:
        return ""
    return f" Other metrics that changed significantly, most of all: {', '.join(changes)}."


def _power(comparison: Comparison, metric: MetricInfo) -> str:
    if comparison.mde is None:
        return ""
    smallest = number(comparison.mde * scale(form_of(metric)), percent=metric.is_rate)
    return f"; this run would miss a true difference below {smallest} more than one time in five"


def _prompt_alone(run: RunData, name: str, metric: MetricInfo) -> str:
    for condition in run.shown.labels(PROMPT):
        numbers = run.shown.measures[name].numbers(condition, metric.id)
        comparison = None if numbers is None else numbers.vs_baseline
        if comparison is not None:
            interval, form = comparison.interval, form_of(metric)
            change = with_interval(comparison.difference, interval, form, sign=True)
            return f"; {condition} alone gives {change}"
    return ""


def _against_random(numbers: MetricNumbers, upward: int) -> str:
    comparison = numbers.vs_random
    if comparison is None:
        return ""
    if significant(comparison) and upward * comparison.difference > 0:
        return ", significantly more than a random vector of equal norm"
    return ", but not significantly more than a random vector of equal norm"


def effect_cards(run: RunData) -> list[Card]:
    """Return the headline metric of the baseline, the prompt and the best treatment."""
    if run.headline is None:
        return []
    name, metric = run.headline
    measure = run.shown.measures[name]
    first = [labels[0] for group in ("baseline", PROMPT) if (labels := run.shown.labels(group))]
    cards = []
    for condition in dict.fromkeys([*first, run.best]):
        numbers = None if condition is None else measure.numbers(condition, metric.id)
        if numbers is not None:
            against = write_cell(changed(numbers.vs_baseline, form_of(metric))).text
            detail = f"Δ {against}" if against else f"n = {numbers.n}"
            cards.append(Card(f"{condition}: {label(metric)}", estimated(numbers, metric), detail))
    return cards
