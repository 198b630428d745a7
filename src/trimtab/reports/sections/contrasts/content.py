"""Contrasts of a run, typed: rates of every condition, and the squares that they form."""

from __future__ import annotations

import re

from trimtab.core.spec import Role
from trimtab.reports.data.content import Content
from trimtab.reports.data.numbers import Comparison, Ends, Estimate

Place = dict[str, float | str]
"""Where a condition stands beside treatment and trigger: a step, a learning rate."""


class Rate(Estimate):
    """The mean of one metric in one condition, over questions and seeds.

    Attributes:
        measure: The measure.
        metric: Id of the metric there.
        treatment: What was done to the model.
        trigger: What the prompt has.
        place: The other coordinates.
        seeds: Repetitions that it is the mean of.
        final: Whether it is a result; False of a checkpoint before the last.
        n: Scored completions.
        n_planned: Completions that the plan asks for.
    """

    measure: str
    metric: str
    treatment: str
    trigger: str
    place: Place
    seeds: int
    final: bool
    n: int
    n_planned: int


class Contrast(Content):
    """One square: a treatment and the base, with and without a trigger, in one metric.

    Attributes:
        measure: The measure.
        metric: Id of the metric there.
        treatment: What was done to the model.
        trigger: What the prompt has in the triggered half.
        place: The other coordinates.
        role: What the treated and triggered condition is there for.
        seeds: Repetitions of the treatment.
        final: Whether it is a result; False of a checkpoint before the last.
        triggered: Mean with the trigger.
        leakage: Mean without it.
        base_triggered: The base's mean with the trigger.
        base_untriggered: The base's mean without it.
        gap: Triggered less leakage, over the questions that both have.
        base_gap: The same of the base.
        difference: The gap less the base's, over the questions that all four have; ``p_holm``
            where it belongs to the family.
    """

    measure: str
    metric: str
    treatment: str
    trigger: str
    place: Place
    role: Role
    seeds: int
    final: bool
    triggered: Estimate
    leakage: Estimate
    base_triggered: Estimate | None
    base_untriggered: Estimate | None
    gap: Comparison | None
    base_gap: Comparison | None
    difference: Comparison | None


class CategoryContrast(Content):
    """The difference of the leading contrast's metric over the questions of one category."""

    category: str
    n: int
    difference: Comparison | None


class Condition(Content):
    """One condition of a rule, and whether it holds: ``triggered`` above 0.6, say.

    Attributes:
        quantity: triggered, leakage, gap or difference.
        value: What was measured.
        interval: Its interval; None where there is none, and then nothing is shown to hold.
        above: What the lower end must exceed.
        below: What the upper end must stay under.
        holds: Whether it does.
    """

    quantity: str
    value: float | None
    interval: Ends | None
    num_clusters: int
    above: float | None
    below: float | None
    holds: bool


class Judgement(Content):
    """Whether a contrast meets the rule.

    Attributes:
        measure: The measure.
        metric: Id of the metric there.
        treatment: Of which treatment.
        trigger: With which trigger.
        place: The other coordinates.
        passed: Whether all conditions hold.
        conditions: The conditions.
    """

    measure: str
    metric: str
    treatment: str
    trigger: str
    place: Place
    passed: bool
    conditions: tuple[Condition, ...]


class ContrastsContent(Content):
    """Everything, in plan order.

    Attributes:
        base: The treatment that is compared with.
        untriggered: The trigger that is none.
        steps: The coordinate along which only the last is a result.
        rates: Of every condition and metric.
        contrasts: Of every square and metric.
        tests: Differences that are corrected together.
        leading: Number of the contrast that the finding tells; None if none can be told.
        categories: That contrast by category of question; empty where questions have none.
        judged: What the rule says; None without one.
    """

    base: str
    untriggered: str
    steps: str
    rates: tuple[Rate, ...]
    contrasts: tuple[Contrast, ...]
    tests: int
    leading: int | None
    categories: tuple[CategoryContrast, ...]
    judged: tuple[Judgement, ...] | None

    def who(self, item: Rate | Contrast | Judgement) -> str:
        """Return which treatment something is of, in words."""
        return told(item.treatment, item.place, self.steps)

    @property
    def results(self) -> list[Contrast]:
        """The contrasts that are results."""
        return [contrast for contrast in self.contrasts if contrast.final]


def told(treatment: str, place: Place, without: str = "") -> str:
    """Return a treatment with its other coordinates, but those that its name has already.

    Args:
        treatment: Its name.
        place: The other coordinates.
        without: One of them that goes without saying.
    """
    values = {
        name: value if isinstance(value, str) else f"{value:g}"
        for name, value in place.items()
        if name != without
    }
    more = [f", {k} {v}" for k, v in values.items() if not _holds(treatment, v)]
    return treatment + "".join(more)


def line_of(treatment: str, value: float) -> str:
    """Return what a treatment that is named after a number has in common with its neighbours.

    ``5 facts in context`` and ``10 facts in context`` are ``k facts in context``.
    """
    return re.sub(_word(f"{value:g}"), "k", treatment)


def _holds(text: str, word: str) -> bool:
    return re.search(_word(word), text) is not None


def _word(word: str) -> str:
    return rf"(?<![\w.]){re.escape(word)}(?![\w.])"
