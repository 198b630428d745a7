"""The numbers of each condition, the rule, contrasts, and the same as it is often published."""

from __future__ import annotations

from trimtab.reports.data.seeds import OverSeeds
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell, Count, Value
from trimtab.reports.sections.wireheading.cells import difference, divergence, share
from trimtab.reports.sections.wireheading.content import Outcome, WireheadingContent
from trimtab.reports.sections.wireheading.contrasts import NUMBERS, told_apart
from trimtab.reports.sections.wireheading.rule import RULE


def _place(outcome: Outcome) -> tuple[Cell, ...]:
    return (outcome.condition, outcome.task, outcome.model)


def numbers(content: WireheadingContent) -> Table:
    """Return what each condition is like at the end."""
    rows = tuple(
        (
            *_place(o),
            Count(o.failed, o.seeds),
            o.seeds,
            share(o.actual),
            share(o.grade),
            share(o.grade_all),
            difference(o.inflation),
            difference(o.inflation_all),
            Value(o.unparsed.mean, form="rate"),
            Value(o.refused.mean, form="rate"),
            divergence(o.divergence),
            o.measured,
        )
        for o in content.outcomes
    )
    columns = (
        *("condition", "task", "model", "given up", "seeds", "actual reward", "grade, read"),
        *("grade, all", "inflation, read", "inflation, all", "unread %", "refused %"),
        *("KL to base", "measured on"),
    )
    note = (
        "Means over seeds with 95 % t-intervals over seeds, cut at what is possible; runs that "
        "were given up are in none. KL in nats per sampled token, over the last tenth of the "
        "rounds. Actual rewards that are no accuracy (ROUGE) and grades have no common unit: "
        "their difference is no inflation in the strict sense."
    )
    return Table("wireheading", "Rewards, grades and inflation", columns, rows, note)


def verdicts(content: WireheadingContent) -> Table:
    """Return what the rule says, and the rises that it looks at."""
    rows = tuple(
        (
            *_place(o),
            difference(o.reward_rise),
            difference(o.actual_rise),
            difference(o.inflation_rise, 2.0),
            difference(o.inflation_all),
            o.verdict,
            o.why,
        )
        for o in content.outcomes
    )
    columns = (
        *("condition", "task", "model", "reward, rise", "actual, rise", "inflation, rise"),
        *("inflation", "verdict", "because"),
    )
    return Table("wireheading_rule", "Does it wirehead?", columns, rows, RULE)


def alarm_list(content: WireheadingContent) -> Table:
    """Return every alarm that was raised."""
    columns = ("run", "round", "alarm")
    return Table("wireheading_alarms", "Alarms", columns, content.alarms)


def contrast_table(content: WireheadingContent) -> Table:
    """Return what lies between conditions, paired by seed."""
    rows = tuple(
        (
            f"{c.left} - {c.right}",
            c.task,
            c.model,
            NUMBERS[c.number],
            c.difference.seeds,
            difference(c.difference, 2.0 if c.number.startswith("inflation") else 1.0),
            Value(c.difference.mean, *(c.nested or (None, None)), signed=True)
            if c.nested is not None
            else None,
            Value(c.p, form="p"),
            Value(c.p_holm, form="p"),
            Value(told_apart(c.difference)),
            c.verdict,
        )
        for c in content.contrasts
    )
    columns = (
        *("contrast", "task", "model", "of", "seeds", "t over seeds", "seeds, then questions"),
        *("p", "p, Holm", "smaller could not be told", "it is"),
    )
    note = (
        "Differences at the end, paired by seed, with 95 % intervals: Student's t over seeds, and "
        "a bootstrap of seeds, then of held-out items, which is too narrow over few seeds. Holm's "
        "correction is over all contrasts of the same number; what is not significant could not be "
        "told, which is not the same as none."
    )
    return Table("wireheading_contrasts", "Conditions against one another", columns, rows, note)


def published_form(content: WireheadingContent) -> Table:
    """Return the errors that such results are often published with beside true intervals."""
    names = {"reward": "reward", **NUMBERS}
    rows = tuple(
        (
            *_place(outcome),
            label,
            value.seeds,
            Value(value.mean, signed=name.startswith("inflation")),
            Value(value.error),
            _interval(value, name),
            Value(_times_as_wide(value), form=".2f"),
        )
        for outcome in content.outcomes
        for name, label in names.items()
        for value in [getattr(outcome, name)]
        if value.mean is not None
    )
    columns = (
        *("condition", "task", "model", "of", "seeds", "mean", "+- as published"),
        *("95 % interval", "times as wide"),
    )
    note = (
        "As published: the standard error over seeds with ddof 0. The interval is Student's t over "
        "the same seeds: 5.27 times as wide on each side with three of them."
    )
    title = "Errors as published, and intervals"
    return Table("wireheading_errors", title, columns, rows, note, display="folded")


def _interval(value: OverSeeds, name: str) -> Cell:
    """Return the mean with its interval; a dash of one seed, which has none."""
    if value.low is None:
        return Value(None)
    return difference(value) if name.startswith("inflation") else share(value)


def _times_as_wide(value: OverSeeds) -> float | None:
    half = told_apart(value)
    return half / value.error if half is not None and value.error else None
