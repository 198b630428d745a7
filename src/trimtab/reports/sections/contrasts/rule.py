"""Whether an experiment did what its configuration calls success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trimtab.reports.data.conditions import TREATMENT
from trimtab.reports.data.numbers import Comparison, Estimate
from trimtab.reports.sections.contrasts.config import Bound, Quantity, SuccessRule
from trimtab.reports.sections.contrasts.content import Condition, Contrast, Judgement


def judged(
    contrasts: Sequence[Contrast], rule: SuccessRule, names: Mapping[tuple[str, str], str]
) -> tuple[Judgement, ...]:
    """Return what ``rule`` says of every contrast that it is about; empty where there is none.

    Args:
        contrasts: All of the run.
        rule: The rule.
        names: Name of each metric, by measure and id.
    """
    return tuple(_judgement(c, rule) for c in rule_contrasts(contrasts, rule, names))


def rule_contrasts(
    contrasts: Sequence[Contrast], rule: SuccessRule, names: Mapping[tuple[str, str], str]
) -> list[Contrast]:
    """Return the contrasts that a rule is about."""
    asked = [
        contrast
        for contrast in contrasts
        if contrast.final
        and rule.metric in (contrast.metric, names[contrast.measure, contrast.metric])
    ]
    if rule.treatment is None:
        asked = [contrast for contrast in asked if contrast.role == TREATMENT]
    else:
        asked = [contrast for contrast in asked if contrast.treatment == rule.treatment]
    first = asked[0].trigger if asked and rule.trigger is None else rule.trigger
    return [contrast for contrast in asked if contrast.trigger == first]


def _judgement(contrast: Contrast, rule: SuccessRule) -> Judgement:
    conditions = tuple(
        _condition(name, bound, getattr(contrast, name)) for name, bound in rule.bounds.items()
    )
    return Judgement.taken(
        contrast,
        passed=all(condition.holds for condition in conditions),
        conditions=conditions,
    )


def _condition(name: Quantity, bound: Bound, numbers: Estimate | Comparison | None) -> Condition:
    value = None
    if numbers is not None:
        value = numbers.mean if isinstance(numbers, Estimate) else numbers.difference
    interval = None if numbers is None else numbers.interval
    return Condition(
        quantity=name,
        value=value,
        interval=interval,
        num_clusters=0 if numbers is None else numbers.num_clusters,
        above=bound.above,
        below=bound.below,
        holds=interval is not None
        and (bound.above is None or interval[0] > bound.above)
        and (bound.below is None or interval[1] < bound.below),
    )
