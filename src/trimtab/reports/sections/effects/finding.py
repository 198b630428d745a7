"""What the effects say, in plain words, with what this run could not have seen beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trimtab.core.counted import counted
from trimtab.reports.data.conditions import PROMPT, strength
from trimtab.reports.data.headline import established, largest_gains, treatment_comparisons
from trimtab.reports.data.numbers import Comparison, MetricInfo
from trimtab.reports.data.run import RunData
from trimtab.reports.data.statistics import significant
from trimtab.reports.draw.format import (
    form_of,
    label,
    p_equals,
    title,
    with_interval,
)
from trimtab.reports.draw.values import changed, estimated, write_cell
from trimtab.reports.sections.base import Card, Finding
from trimtab.reports.sections.effects.cost import cost
from trimtab.reports.sections.effects.others import other_effects
from trimtab.reports.sections.effects.words import against_randoms, change, power


def effect_finding(run: RunData) -> Finding:
    """Return the run's main result, and what else is established; no more than numbers carry."""
    if run.headline is None:
        return Finding(0, "No metric of this run measures an effect.")
    name, metric = run.headline
    compared = treatment_comparisons(run.shown, name, metric)
    if not compared:
        text = f"No treatment has {title(metric)} values that can be compared with the baseline."
        return Finding(10, text)
    also = other_effects(run, name, metric)
    leading = largest_gains(run.shown, run.headline)
    shown = run.shown.measures[name].conditions
    if leading and established(shown[leading[0]].metrics[metric.id]):
        raised = [_raised(run, name, metric, label, len(compared)) for label in leading]
        return Finding(30, f"{' '.join(raised)}{also}")
    return Finding(30, f"{_nothing(run, name, metric, leading, compared)}{also}")


def _raised(run: RunData, name: str, metric: MetricInfo, label: str, compared: int) -> str:
    """Return the sentences on a treatment whose gain is established."""
    measure = run.shown.measures[name]
    numbers = measure.conditions[label].metrics[metric.id]
    comparison = numbers.vs_baseline
    assert comparison is not None, "what is established was compared"
    verb = "raised" if metric.upward > 0 else "lowered"
    chosen = f"; chosen as the largest of {compared} on the {measure.split} split itself"
    return (
        f"{label} {verb} {title(metric)} by {change(comparison, metric)} against the baseline "
        f"({p_equals(comparison.p_holm, 'Holm p')}, n = {comparison.n})"
        f"{against_randoms(numbers, metric, _has_length(run, label))}{chosen * (compared > 1)}"
        f"{_prompt_alone(run, name, metric)}.{cost(run.shown, label, run.plan.baseline)}"
    )


def _nothing(
    run: RunData,
    name: str,
    metric: MetricInfo,
    leading: Sequence[str],
    compared: Mapping[str, Comparison],
) -> str:
    """Return that no treatment improved the metric, and what could have been found."""
    measure, tests = run.shown.measures[name], run.shown.tests
    family = counted(tests, "test")
    head = f"No treatment improved {title(metric)} significantly (Holm, {family}): "
    if not leading:
        changes = sorted(comparison.difference for comparison in compared.values())
        ends = " to ".join(
            with_interval(end, None, form_of(metric), sign=True)
            for end in dict.fromkeys((changes[0], changes[-1]))
        )
        why = _why_none(list(compared.values()))
        most = next(iter(compared.values()))
        text = (
            f"{why} ({ends}{' points' * metric.is_rate}, n = {most.n}{power(most, metric, tests)})"
        )
        return f"{head}{text}{_prompt_alone(run, name, metric)}."
    numbers = measure.conditions[leading[0]].metrics[metric.id]
    most = compared[leading[0]]
    randoms = ""
    if significant(most):
        head = f"No treatment is known to improve {title(metric)} beyond random vectors: "
        randoms = f", {p_equals(most.p_holm, 'Holm p')}"
    subject = f"the largest gain of {len(compared)} on the {measure.split} split is that of "
    return (
        f"{head}{subject if len(compared) > 1 else ''}{' and '.join(leading)}, "
        f"{change(most, metric)} against the baseline "
        f"(n = {most.n}{randoms or power(most, metric, tests)})"
        f"{against_randoms(numbers, metric, _has_length(run, leading[0])) * bool(randoms)}"
        f"{_prompt_alone(run, name, metric)}."
    )


def _why_none(compared: Sequence[Comparison]) -> str:
    if max(comparison.n for comparison in compared) < 2:
        return "a single question says nothing"
    if max(comparison.num_clusters for comparison in compared) < 2:
        return "questions that form one cluster say nothing"
    return "none differs in the right direction"


def _has_length(run: RunData, label: str) -> bool:
    """Return whether a condition adds something that a random vector could be as long as."""
    return any(c.condition == label and strength(c) is not None for c in run.shown.conditions)


def _prompt_alone(run: RunData, name: str, metric: MetricInfo) -> str:
    for condition in run.shown.labels(PROMPT):
        numbers = run.shown.measures[name].numbers(condition, metric.id)
        comparison = None if numbers is None else numbers.vs_baseline
        if comparison is not None:
            return f"; {condition} alone gives {change(comparison, metric).removesuffix(' points')}"
    return ""


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
