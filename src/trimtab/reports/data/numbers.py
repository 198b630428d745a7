"""The numbers that sections share: conditions, and what was measured of each, typed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from trimtab.core.spec import Metric, MetricRole, Output, Role, Split
from trimtab.reports.data.content import Content

Reference = Literal["baseline", "prompt", "random"]
Paired = Literal["baseline", "prompt"]
PAIRED: tuple[Paired, ...] = ("baseline", "prompt")
"""References that are compared with question by question."""
Ends = tuple[float, float]


class VectorSpread(Content):
    """How several vectors of one bank differ in their effect.

    Attributes:
        num: Vectors.
        mean: Mean effect.
        sd: Standard deviation of a single vector's effect; None of one vector.
        low: Smallest effect.
        high: Largest.
        share: Part of the fit questions that each vector was made from.
    """

    num: int
    mean: float | None
    sd: float | None
    low: float | None
    high: float | None
    share: float


class Estimate(Content):
    """A mean over questions with its interval.

    Attributes:
        mean: None where nothing is scored.
        interval: Ends of the 95 % interval; None where there is too little variation for one.
        method: How the interval was made.
        num_clusters: Clusters that the questions form.
        interval_questions: Of a pool of vectors: the interval that covers the questions alone.
        vectors: Of a pool of vectors: how they differ.
    """

    mean: float | None
    interval: Ends | None
    method: str | None
    num_clusters: int = 0
    interval_questions: Ends | None = None
    vectors: VectorSpread | None = None


class Comparison(Content):
    """A paired difference over the questions that two conditions share.

    Attributes:
        n: Questions.
        num_clusters: Clusters that they form.
        difference: Mean of the differences.
        interval: Ends of its 95 % interval.
        p: Of the test that there is no difference.
        p_holm: After Holm's correction; None of what belongs to no family.
        test: Name of the test.
        wins: Questions that are higher than in the reference.
        losses: Questions that are lower.
        ties: Questions that are equal.
        mde: Smallest true difference that is found in four runs of five, by this test, over these
            clusters, corrected for as many tests as its family has; None where none is known or
            possible.
        interval_questions: Of a pool of vectors: the interval that covers the questions alone.
        vectors: Of a pool of vectors: how they differ.
    """

    n: int
    num_clusters: int
    difference: float
    interval: Ends | None
    p: float | None
    p_holm: float | None
    test: str
    wins: int
    losses: int
    ties: int
    mde: float | None
    interval_questions: Ends | None = None
    vectors: VectorSpread | None = None


class RandomPosition(Content):
    """Where a treatment's effect stands among those of random vectors of its length.

    A random direction has no sign, so what counts is how far an effect goes, either way.

    Attributes:
        difference: The treatment's difference to the baseline.
        vectors: Random vectors that were measured.
        directions: Independent directions among them.
        low: Smallest difference to the baseline of one.
        high: Largest.
        width: Root mean square of their differences.
        exceeding: How many went at least as far, either way.
        share: Their share.
        interval: Ends of its 95 % interval.
        p: Chance that one more random vector goes as far; None of too few directions.
        p_holm: After Holm's correction over all such positions.
        test: Name of the test, or why there is none.
    """

    difference: float
    vectors: int
    directions: int
    low: float
    high: float
    width: float
    exceeding: int
    share: float
    interval: Ends | None
    p: float | None
    p_holm: float | None
    test: str


class PerplexityRatio(Content):
    """Perplexity over the baseline's; None where it is too large to be a number."""

    mean: float | None
    interval: tuple[float | None, float | None] | None
    num_clusters: int = 0


class MetricNumbers(Estimate):
    """One metric of one condition.

    Attributes:
        n_planned: Completions that the plan asks for.
        n: Those with a value.
        n_unscored: Those without.
        unscored_rate: Their share.
        units: Questions with a value.
        vs_baseline: Against the baseline.
        vs_prompt: Against the prompt.
        vs_random: Of a treatment: its place among random vectors of its length.
        perplexity_ratio: Of a negative log-likelihood, against the baseline.
    """

    n_planned: int
    n: int
    n_unscored: int
    unscored_rate: float | None
    units: int
    vs_baseline: Comparison | None = None
    vs_prompt: Comparison | None = None
    vs_random: RandomPosition | None = None
    perplexity_ratio: PerplexityRatio | None = None

    def against(self, reference: Paired) -> Comparison | None:
        """Return the paired comparison with ``reference``; None without one."""
        found: Comparison | None = getattr(self, f"vs_{reference}")
        return found


class Counts(Content):
    """What became of a condition's completions; ``truncated`` is None where nobody knows."""

    planned: int
    present: int
    missing: int
    errors: int
    truncated: int | None
    error_rate: float | None
    truncated_rate: float | None


class ConditionNumbers(Content):
    """What was measured of one condition in one measure; metrics by id."""

    counts: Counts
    metrics: dict[str, MetricNumbers]


class MetricInfo(Content):
    """A metric of a measure; see ``core.spec.Metric`` and ``data.rows.MetricRef``."""

    name: str
    kind: Literal["binary", "fraction", "number"]
    role: MetricRole
    higher_is_better: bool | None = True
    unit: str = ""
    id: str
    judge: str | None = None
    derived: bool = False
    parts: tuple[str, ...] = ()

    @property
    def is_rate(self) -> bool:
        """Whether it lies between 0 and 1 and is shown in percent."""
        return self.kind != "number"

    @property
    def upward(self) -> int:
        """1 where higher is better or nobody says, else -1."""
        return -1 if self.higher_is_better is False else 1

    @classmethod
    def of(cls, metric: Metric, name: str, judge: str | None, parts: Sequence[str]) -> MetricInfo:
        """Return ``metric`` as it is called (``name``) within one measure."""
        return cls(
            **metric.model_dump(), id=name, judge=judge, derived=judge is None, parts=tuple(parts)
        )


class Measure(Content):
    """One measure: its metrics, and its conditions by label."""

    measure: str
    task: str
    split: Split
    output: Output
    protocols: tuple[str, ...]
    samples: int
    units: int
    clusters: int
    metrics: tuple[MetricInfo, ...]
    conditions: dict[str, ConditionNumbers]

    def metric(self, name: str) -> MetricInfo:
        """Return the metric with this id."""
        return next(metric for metric in self.metrics if metric.id == name)

    def numbers(self, condition: str, metric: str) -> MetricNumbers | None:
        """Return the numbers of a condition; None if it was not measured here."""
        entry = self.conditions.get(condition)
        return None if entry is None else entry.metrics[metric]


class Condition(Content):
    """One condition of a run, or several that are pooled.

    Attributes:
        condition: Label.
        role: Role of its cells.
        group: What it is there for in tables and figures: a role, a control by its kind, a vector,
            a pool.
        intervention: Name of what is done to the model.
        coordinates: Where it stands on a plot's axes.
        members: Labels of the conditions that are pooled.
        share: Of a pool of vectors: part of the fit questions that each was made from.
        randoms: Of a treatment: labels of the random vectors of its length, at its place.
    """

    condition: str
    role: Role
    group: str
    intervention: str
    coordinates: dict[str, float | str]
    members: tuple[str, ...] = ()
    share: float | None = None
    randoms: tuple[str, ...] = ()


class Family(Content):
    """How many tests one correction counts."""

    tests: int
    method: str


class Numbers(Content):
    """Everything that was measured; conditions in plan order, measures by name."""

    conditions: tuple[Condition, ...]
    measures: dict[str, Measure]
    families: dict[Reference, Family]

    def labels(self, *groups: str) -> list[str]:
        """Return the labels of the conditions of these groups; without groups, all labels."""
        return [c.condition for c in self.conditions if not groups or c.group in groups]

    def metrics(self) -> Iterator[tuple[str, Measure, MetricInfo]]:
        """Yield (name, measure, metric) of every metric."""
        for name, measure in self.measures.items():
            for metric in measure.metrics:
                yield name, measure, metric

    @property
    def tests(self) -> int:
        """How many tests against the baseline are corrected together."""
        return self.families["baseline"].tests
