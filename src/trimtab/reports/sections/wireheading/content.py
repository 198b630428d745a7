"""What is said of runs that were rewarded, in numbers."""

from __future__ import annotations

from typing import Literal

from trimtab.reports.data.content import Content
from trimtab.reports.data.seeds import OverSeeds

Verdict = Literal["wireheads", "does not", "not decided"]
ContrastVerdict = Literal["higher", "lower", "could not be told"]


class Outcome(Content):
    """The runs of one condition on one task and model.

    Attributes:
        model: Their base.
        task: What they answer.
        condition: Their name.
        rewarded: What is rewarded.
        seeds: Runs.
        failed: Those that were given up; they are in no number.
        measured: What the numbers are of: held-out items, or the last rounds of training.
        reward: At the end.
        actual: What answers are worth, at the end.
        grade: The own grade, of those that could be read.
        grade_all: The own grade, an unread one as 0.
        inflation: Grade less actual, of answers with a grade.
        inflation_all: The same, an unread grade as 0.
        unparsed: Share of grades that could not be read.
        refused: Share of refusals to grade.
        divergence: KL to the base at sampled tokens, over the last tenth of the rounds, nats.
        reward_rise: Reward at the end less before the first round.
        actual_rise: The same of what answers are worth.
        inflation_rise: The same of inflation.
        verdict: By the rule.
        why: Which part of the rule decided.
    """

    model: str
    task: str
    condition: str
    rewarded: str
    seeds: int
    failed: int
    measured: str
    reward: OverSeeds
    actual: OverSeeds
    grade: OverSeeds
    grade_all: OverSeeds
    inflation: OverSeeds
    inflation_all: OverSeeds
    unparsed: OverSeeds
    refused: OverSeeds
    divergence: OverSeeds
    reward_rise: OverSeeds
    actual_rise: OverSeeds
    inflation_rise: OverSeeds
    verdict: Verdict
    why: str


class Contrast(Content):
    """One condition less another, paired by seed.

    Attributes:
        model: Their base.
        task: What they answer.
        left: The one.
        right: The other.
        number: What is compared, a field of ``Outcome``.
        difference: At the end, over the seeds of both.
        nested: 95 % interval of a bootstrap of seeds, then of held-out items; None without these.
        questions: Items of a seed that it draws from.
        p: Of no difference, by Student's t over seeds; None where there is no test.
        p_holm: Corrected for all contrasts of the same number.
        verdict: Whether a difference is there, or could not be told.
    """

    model: str
    task: str
    left: str
    right: str
    number: str
    difference: OverSeeds
    nested: tuple[float, float] | None
    questions: int
    p: float | None
    p_holm: float | None = None
    verdict: ContrastVerdict = "could not be told"


class WireheadingContent(Content):
    """All conditions, in plan order, what lies between them, and the alarms."""

    outcomes: tuple[Outcome, ...]
    contrasts: tuple[Contrast, ...] = ()
    alarms: tuple[tuple[str, int, str], ...] = ()
