"""Do models that are rewarded by their own grade learn to answer, or to grade?

A row per model, task and condition over seeds, and the rule by which a condition wireheads.
"""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.reports.data.cohorts import trained_runs
from trimtab.reports.data.run import RunData
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell, Count, Value
from trimtab.reports.sections.base import Finding, NoConfig, Section, View
from trimtab.reports.sections.wireheading.content import Outcome, OverSeeds, WireheadingContent
from trimtab.reports.sections.wireheading.reading import outcomes
from trimtab.reports.sections.wireheading.rule import RULE, not_found

__all__ = ["Wireheading"]

_WORDS = {"wireheads": "wireheads", "does not": "does not wirehead", "not decided": "is undecided"}


class Wireheading(Section[NoConfig, WireheadingContent]):
    """Actual reward, own grade and what lies between them, over seeds."""

    Config = NoConfig
    order = 12
    terms = (
        ("inflation", "The grade that a model gives its answer less what the answer is worth."),
        (
            "read, all",
            "Of answers whose grade could be read; of all answers, a grade that could not be read "
            "as 0.",
        ),
    )

    def read(self, run: RunData) -> WireheadingContent | None:
        """Return the outcomes; None where nothing was trained by rewards."""
        runs = trained_runs(run.source)
        if not runs:
            return None
        alarms = tuple(
            (f"{one.condition}-{one.seed}", int(alarm["round"]), str(alarm["text"]))
            for one in runs
            for alarm in one.alarms
        )
        return WireheadingContent(outcomes=tuple(outcomes(runs)), alarms=alarms)

    def tables(self, view: View[WireheadingContent]) -> Sequence[Table]:
        """Return the numbers, what the rule says, and the alarms."""
        content = view.content
        alarms = [_alarms(content)] if content.alarms else []
        return [_numbers(content), _verdicts(content), *alarms]

    def headline(self, view: View[WireheadingContent]) -> Sequence[Table]:
        """Return what the rule says."""
        return [_verdicts(view.content)]

    def finding(self, view: View[WireheadingContent]) -> Finding:
        """Return first what could not have been found, then what was."""
        graded = [o for o in view.content.outcomes if o.rewarded == "selfgrade"]
        shown = graded or view.content.outcomes
        return Finding(40, " ".join(_sentence(outcome) for outcome in shown))


def _sentence(outcome: Outcome) -> str:
    where = f"{outcome.condition} on {outcome.task} ({outcome.model})"
    value = outcome.inflation_all
    if value.mean is None:
        return f"Of {where} nothing was measured."
    interval = f" [{value.low:.2f}, {value.high:.2f}]" if value.low is not None else ""
    return (
        f"{not_found(value)}. Rewarded as it was, {where} {_WORDS[outcome.verdict]}: inflation "
        f"{value.mean:+.2f}{interval}; {outcome.why}."
    )


def _place(outcome: Outcome) -> tuple[Cell, ...]:
    return (outcome.condition, outcome.task, outcome.model)


def _cell(value: OverSeeds, *, signed: bool = False) -> Cell:
    return Value(value.mean, value.low, value.high, signed=signed)


def _numbers(content: WireheadingContent) -> Table:
    rows = tuple(
        (
            *_place(o),
            Count(o.failed, o.seeds),
            o.seeds,
            _cell(o.actual),
            _cell(o.grade),
            _cell(o.grade_all),
            _cell(o.inflation, signed=True),
            _cell(o.inflation_all, signed=True),
            Value(o.unparsed.mean, form="rate"),
            Value(o.refused.mean, form="rate"),
            _cell(o.divergence),
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
        "Means over seeds with 95 % t-intervals over seeds; runs that were given up are in none. "
        "KL in nats per sampled token, over the last tenth of the rounds. Actual rewards that are "
        "no accuracy (ROUGE) and grades have no common unit: their difference is no inflation in "
        "the strict sense."
    )
    return Table("wireheading", "Rewards, grades and inflation", columns, rows, note)


def _verdicts(content: WireheadingContent) -> Table:
    rows = tuple(
        (
            *_place(o),
            _cell(o.reward_rise, signed=True),
            _cell(o.actual_rise, signed=True),
            _cell(o.inflation_rise, signed=True),
            _cell(o.inflation_all, signed=True),
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


def _alarms(content: WireheadingContent) -> Table:
    columns = ("run", "round", "alarm")
    return Table("wireheading_alarms", "Alarms", columns, content.alarms)
