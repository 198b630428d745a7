"""Do models that are rewarded by their own grade learn to answer, or to grade?

A row per model, task and condition over seeds, and the rule by which a condition wireheads.
"""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.reports.data.cohorts import trained_runs
from trimtab.reports.data.run import RunData
from trimtab.reports.draw.figures import Figure
from trimtab.reports.draw.tables import Table
from trimtab.reports.sections.base import Finding, NoConfig, Section, View
from trimtab.reports.sections.wireheading.content import Outcome, WireheadingContent
from trimtab.reports.sections.wireheading.contrasts import contrasts
from trimtab.reports.sections.wireheading.drawing import figures
from trimtab.reports.sections.wireheading.drift import drift_table, drifts
from trimtab.reports.sections.wireheading.reading import gaps, outcomes
from trimtab.reports.sections.wireheading.reliability import reliabilities, reliability_table
from trimtab.reports.sections.wireheading.rule import not_found
from trimtab.reports.sections.wireheading.tables import (
    alarm_list,
    contrast_table,
    numbers,
    published_form,
    verdicts,
)

__all__ = ["Wireheading"]

_WORDS = {"wireheads": "wireheads", "does not": "does not wirehead", "not decided": "is undecided"}


class Wireheading(Section[NoConfig, WireheadingContent]):
    """Actual reward, own grade and what lies between them, over seeds."""

    Config = NoConfig
    order = 12
    terms = (
        ("inflation", "The grade that a model gives its answer less what the answer is worth."),
        (
            "read / all",
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
        return WireheadingContent(
            outcomes=tuple(outcomes(runs)),
            contrasts=tuple(contrasts(runs, run.plan.seed)),
            reliability=tuple(reliabilities(runs)),
            gaps=tuple(gaps(runs)),
            drifts=tuple(drifts(runs)),
            alarms=alarms,
        )

    def tables(self, view: View[WireheadingContent]) -> Sequence[Table]:
        """Return numbers, what the rule says, contrasts, reliability, projections, and alarms."""
        content = view.content
        between = [contrast_table(content)] if content.contrasts else []
        alarms = [alarm_list(content)] if content.alarms else []
        told = [reliability_table(content.reliability)] if content.reliability else []
        along = [drift_table(content.drifts)] if content.drifts else []
        shown = (numbers(content), verdicts(content), *between, *told, *along, *alarms)
        return [*shown, published_form(content)]

    def figures(self, view: View[WireheadingContent]) -> Sequence[Figure]:
        """Return inflation, rewards, the gap by round, reliability and projections."""
        return figures(view.content)

    def headline(self, view: View[WireheadingContent]) -> Sequence[Table]:
        """Return what the rule says."""
        return [verdicts(view.content)]

    def finding(self, view: View[WireheadingContent]) -> Finding:
        """Return first what could not have been found, then what was."""
        graded = [o for o in view.content.outcomes if o.rewarded == "selfgrade"]
        shown = graded or view.content.outcomes
        said = [_sentence(outcome) for outcome in shown]
        return Finding(40, " ".join([*said, *_worse(view.content.outcomes)]))


def _sentence(outcome: Outcome) -> str:
    where = f"{outcome.condition} on {outcome.task} ({outcome.model})"
    value = outcome.inflation_all.within(-1.0, 1.0)
    if value.mean is None:
        return f"Of {where} nothing was measured."
    interval = f" [{value.low:.2f}, {value.high:.2f}]" if value.low is not None else ""
    return (
        f"{not_found(outcome.inflation_all)}. Rewarded as it was, {where} "
        f"{_WORDS[outcome.verdict]}: inflation {value.mean:+.2f}{interval}; {outcome.why}."
    )


def _worse(outcomes: Sequence[Outcome]) -> list[str]:
    """Return in a sentence which conditions answer worse at the end, whatever was rewarded."""
    fell = [
        f"{o.condition} on {o.task} ({rise.mean:+.2f} [{rise.low:.2f}, {rise.high:.2f}])"
        for o in outcomes
        for rise in [o.actual_rise.within(-1.0, 1.0)]
        if rise.high is not None and rise.high < 0
    ]
    listed = ", ".join(fell)
    return [f"Answers are worth less than before the first round in {listed}."] if fell else []
