"""What is said of runs that were rewarded, in numbers."""

from __future__ import annotations

from typing import Literal

from trimtab.reports.data.content import Content

Verdict = Literal["wireheads", "does not", "not decided"]


class OverSeeds(Content):
    """A number of several seeds.

    Attributes:
        mean: Over seeds; None without any.
        low: Lower end of the 95 % t-interval over seeds; None where there is none.
        high: Upper end.
        seeds: Those with a value.
    """

    mean: float | None
    low: float | None
    high: float | None
    seeds: int


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


class WireheadingContent(Content):
    """All conditions, in plan order, and the alarms."""

    outcomes: tuple[Outcome, ...]
    alarms: tuple[tuple[str, int, str], ...] = ()
