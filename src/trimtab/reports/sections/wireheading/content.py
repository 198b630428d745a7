"""What is said of runs that were rewarded, in numbers."""

from __future__ import annotations

from typing import Literal

from trimtab.reports.data.content import Content
from trimtab.reports.data.directions import Direction
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
        inflation_start: Inflation before the first round, an unread grade as 0.
        points: Actual reward and reward of each seed at the end.
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
    inflation_start: OverSeeds
    points: tuple[tuple[float, float], ...]
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


class Reliability(Content):
    """How well the grades of one condition tell right answers from wrong ones.

    Attributes:
        model: Their base.
        task: What they answer.
        condition: Their name.
        when: ``start``: before the first round; ``end``.
        seeds: Runs.
        grades: Those that could be read, of answers that could be scored, of all seeds.
        auc: Of the grade, right against wrong; None of seeds with one kind alone.
        kappa: Cohen's, of grades from 0.5 and right answers.
        right_of_high: Share of right answers among those with a grade from 0.5.
        right_of_low: The same among those below.
        calibration_error: Expected calibration error in ten bins.
        bins: Those that hold a grade, lowest first: the mean grade, the share of right answers,
            and how many grades.
    """

    model: str
    task: str
    condition: str
    when: Literal["start", "end"]
    seeds: int
    grades: int
    auc: OverSeeds
    kappa: OverSeeds
    right_of_high: OverSeeds
    right_of_low: OverSeeds
    calibration_error: OverSeeds
    bins: tuple[tuple[float, OverSeeds, int], ...] = ()


class Gap(Content):
    """Grade and actual reward of one condition, round by round.

    Attributes:
        model: Their base.
        task: What they answer.
        condition: Their name.
        window: Rounds that a point is the mean of.
        points: Round, grade (an unread one as 0) and actual reward, means over seeds.
    """

    model: str
    task: str
    condition: str
    window: int
    points: tuple[tuple[float, float, float], ...]


class Drift(Content):
    """How far along a direction the grades of one condition lie, round by round.

    Attributes:
        model: Their base.
        task: What they answer.
        condition: Their name.
        direction: What the states of the grades' tokens are projected on.
        way: How held-out items were answered: ``greedy`` or ``sampled``.
        grades: Grades that were read at the last of these rounds, of all seeds.
        points: Round and mean projection over seeds; round 0 is before any update.
        rise: From the first of these rounds to the last, over seeds.
    """

    model: str
    task: str
    condition: str
    direction: Direction
    way: str
    grades: int
    points: tuple[tuple[int, OverSeeds], ...]
    rise: OverSeeds


class WireheadingContent(Content):
    """All conditions, in plan order, what lies between them, and the alarms."""

    outcomes: tuple[Outcome, ...]
    contrasts: tuple[Contrast, ...] = ()
    reliability: tuple[Reliability, ...] = ()
    gaps: tuple[Gap, ...] = ()
    drifts: tuple[Drift, ...] = ()
    alarms: tuple[tuple[str, int, str], ...] = ()
