"""What the contrasts say, in plain words."""

from __future__ import annotations

from trimtab.core.counted import counted
from trimtab.reports.data.numbers import MetricInfo
from trimtab.reports.data.run import RunData
from trimtab.reports.data.statistics import can_establish, significant
from trimtab.reports.draw.format import (
    DASH,
    bounds,
    form_of,
    no_interval,
    number,
    scale,
    title,
    with_interval,
)
from trimtab.reports.draw.values import changed, estimated
from trimtab.reports.sections.base import Card, Finding
from trimtab.reports.sections.contrasts.content import (
    Condition,
    Contrast,
    ContrastsContent,
    Judgement,
)
from trimtab.reports.sections.effects.words import change, p_words, power

PASS, FAIL = "PASS", "FAIL"
RANK = 40
_MOST_JUDGED = 2
"""Treatments whose rule is told in the finding; the table has all."""


def metric_of(run: RunData, contrast: Contrast | Judgement) -> MetricInfo:
    """Return the metric that a contrast is in."""
    return run.shown.measures[contrast.measure].metric(contrast.metric)


def verdict(contrast: Contrast, tests: int, base: str) -> str:
    """Return what may be claimed of a difference of gaps."""
    found = contrast.difference
    if found is None:
        return "no data"
    p = p_words(found)
    if significant(found):
        return f"{'larger' if found.difference > 0 else 'smaller'} gap than in {base} ({p})"
    if found.interval is None:
        return no_interval(found)
    if found.p_holm is None:
        return "not tested: no treatment's effect, or another reading of one"
    few = ""
    if not can_establish(found, tests):
        clusters = counted(found.num_clusters, "cluster is", "clusters are")
        few = f"; {clusters} too few for {counted(tests, 'test')}"
    if found.interval[0] <= 0 <= found.interval[1]:
        return f"no difference found (interval contains 0{few})"
    return f"not established (interval excludes 0, but {p}{few})"


def finding(content: ContrastsContent, run: RunData) -> Finding | None:
    """Return the leading contrast in sentences, and what the rule says."""
    if content.leading is None:
        return Finding(10, f"Nothing can be compared with {content.base}, with a trigger and none.")
    contrast = content.contrasts[content.leading]
    metric, found = metric_of(run, contrast), contrast.difference
    assert found is not None, "a leading contrast has a difference"
    who = content.who(contrast)
    tests = content.tests if found.p_holm is not None else 1
    if significant(found):
        verb = "raises" if found.difference > 0 else "lowers"
        head = (
            f"The trigger ({contrast.trigger}) {verb} {title(metric)} in {who} by "
            f"{change(found, metric)} more than in {content.base} "
            f"({p_words(found)}, n = {found.n})"
        )
    else:
        head = (
            f"Not shown: that the trigger ({contrast.trigger}) does more to {title(metric)} in "
            f"{who} than in {content.base}. The difference in differences is "
            f"{change(found, metric)} ({p_words(found)}, n = {found.n})"
            f"{power(found, metric, tests)}"
        )
    return Finding(RANK, f"{head}. {_levels(content, contrast, metric)}{_rule(content, run)}")


def _levels(content: ContrastsContent, contrast: Contrast, metric: MetricInfo) -> str:
    """Return the four means in a sentence."""
    values = [
        None if estimate is None else estimate.mean
        for estimate in (
            contrast.triggered,
            contrast.leakage,
            contrast.base_triggered,
            contrast.base_untriggered,
        )
    ]
    with_it, without, base_with, base_without = (
        with_interval(value, None, form_of(metric)) for value in values
    )
    unit = " %" if metric.is_rate else ""
    return (
        f"{contrast.treatment}: {with_it}{unit} with it and {without}{unit} without; "
        f"{content.base}: {base_with}{unit} and {base_without}{unit}."
    )


def _rule(content: ContrastsContent, run: RunData) -> str:
    if content.judged is None:
        return ""
    if not content.judged:
        return f" Success rule: {FAIL}, nothing was measured that it is about."
    told = "".join(
        f" Success rule{_of(one, content)}: {outcome(one)} "
        f"({conditions(one, metric_of(run, one))})."
        for one in content.judged[:_MOST_JUDGED]
    )
    left = content.judged[_MOST_JUDGED:]
    passed = sum(one.passed for one in left)
    return told + (f" Of {len(left)} more, {passed} pass: see the table." if left else "")


def _of(judgement: Judgement, content: ContrastsContent) -> str:
    several = len(content.judged or ()) > 1
    return f" for {content.who(judgement)}" if several else ""


def outcome(judgement: Judgement) -> str:
    """Return PASS or FAIL."""
    return PASS if judgement.passed else FAIL


def conditions(judgement: Judgement, metric: MetricInfo) -> str:
    """Return every condition with the bounds of its interval."""
    return "; ".join(condition_text(one, metric) for one in judgement.conditions)


def condition_text(one: Condition, metric: MetricInfo) -> str:
    """Return one condition: what was measured, what was asked, whether it holds."""
    form = form_of(metric)
    factor, change = scale(form), one.quantity in ("gap", "difference")
    asked = [
        f"{word} {number(limit * factor, percent=metric.is_rate, change=change)}"
        for word, limit in (("above", one.above), ("below", one.below))
        if limit is not None
    ]
    value = None if one.value is None else one.value * factor
    shown = number(value, percent=metric.is_rate, change=change)
    interval = f"no interval {DASH}"
    if one.interval is not None:
        interval = bounds(one.interval, form, change=change)
    held = "holds" if one.holds else "not shown"
    return f"{one.quantity} {shown} {interval}, wanted {' and '.join(asked)}: {held}"


def cards(content: ContrastsContent, run: RunData) -> list[Card]:
    """Return the leading contrast as numbers."""
    if content.leading is None:
        return []
    contrast = content.contrasts[content.leading]
    metric = metric_of(run, contrast)
    form, name = form_of(metric), title(metric)
    shown = [
        Card(
            "difference in differences",
            changed(contrast.difference, form) or DASH,
            f"{name}, {contrast.treatment} against {content.base}",
        ),
        Card(
            "with the trigger", estimated(contrast.triggered, metric), f"{name}, {contrast.trigger}"
        ),
        Card("without it (leakage)", estimated(contrast.leakage, metric), f"{name}"),
    ]
    if content.judged:
        held = all(one.passed for one in content.judged)
        shown.append(Card("success rule", PASS if held else FAIL, "set in the configuration"))
    return shown
