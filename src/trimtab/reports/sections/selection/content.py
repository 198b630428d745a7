"""What choosing among several candidates gains, typed."""

from __future__ import annotations

from trimtab.core.spec import Split
from trimtab.reports.data.content import Content
from trimtab.reports.data.numbers import Comparison, Ends, Estimate


class McNemar(Content):
    """An exact test: problems that are right here only, there only, and the probability."""

    wins: int
    losses: int
    p: float


class Gap(Content):
    """How much of the way from random to the oracle is recovered."""

    mean: float
    interval: Ends | None


class Selector(Estimate):
    """One way to choose.

    Attributes:
        selector: Its name.
        n: Problems for which it has something to go by.
        right: Expected number of right choices.
        vs_random: Against a random choice.
        vs_majority: Against the majority's answer.
        mcnemar: Against a majority vote without ties; None where it has no meaning.
        gap: None where nothing is to be gained.
    """

    selector: str
    n: int
    right: float
    vs_random: Comparison | None = None
    vs_majority: Comparison | None = None
    mcnemar: McNemar | None
    gap: Gap | None


class AccuracyAt(Estimate):
    """Accuracy with ``k`` candidates."""

    k: int


class CalibrationBin(Content):
    """So many candidates with the mean of what is predicted, and the share that is right."""

    n: int
    predicted: float
    right: float


class Calibration(Content):
    """sigmoid(-energy) as a probability: bins of equal size and the expected error."""

    bins: tuple[CalibrationBin, ...]
    ece: float | None
    interval: Ends | None


class Histogram(Content):
    """Counts of right and wrong candidates between the edges."""

    edges: tuple[float, ...]
    right: tuple[int, ...]
    wrong: tuple[int, ...]


class RankingQuality(Content):
    """How well a number orders candidates.

    Attributes:
        ranking: What it is called.
        metric: Name of the metric.
        scored: Candidates with a score.
        unscored: Candidates without.
        problems: Problems that have right and wrong candidates.
        pairs: Pairs of a right and a wrong candidate in them.
        pooled_auc: Over all candidates.
        pooled_interval: Ends of its interval.
        within_auc: Within problems.
        within_interval: Ends of its interval.
        length_correlation: Spearman's, with characters.
        length_interval: Ends of its interval.
        clusters: Of the scored candidates.
    """

    ranking: str
    metric: str
    scored: int
    unscored: int
    problems: int
    pairs: int
    pooled_auc: float | None
    pooled_interval: Ends | None
    within_auc: float | None
    within_interval: Ends | None
    length_correlation: float | None
    length_interval: Ends | None
    clusters: int


class RankingNumbers(RankingQuality):
    """A ranking with what is drawn of it; length and format alone have no pictures.

    Attributes:
        calibration: Of an energy.
        histograms: ``pooled``, and ``problem-centred`` around the mean of each problem.
        points: (characters, score, right) of some candidates.
    """

    calibration: Calibration | None = None
    histograms: dict[str, Histogram] | None = None
    points: tuple[tuple[float, float, float], ...] = ()


class Ablation(RankingQuality):
    """What the lowest score is worth if the model is shown less.

    Attributes:
        mean: Accuracy of the lowest score.
        interval: Ends of its interval.
        method: How that was made.
        whole: The ranking by the same model that is shown everything.
        vs_random: Against a random choice.
        vs_whole: Against ``whole``.
    """

    mean: float | None
    interval: Ends | None
    method: str | None
    whole: str | None
    vs_random: Comparison | None
    vs_whole: Comparison | None


class Temperature(Content):
    """The temperature of a weighted vote, and what it was tuned on."""

    value: float
    tuned_on: str


class DifficultyBin(Content):
    """Problems with so many right candidates, and each selector's gain over random there."""

    bin: str
    problems: int
    gain: dict[str, float]


class SetNumbers(Content):
    """The candidates of one condition of one measure.

    Attributes:
        measure: Name of the measure.
        condition: Label of the condition; of a part of an imported file with the part's name.
        split: Which split of the task.
        candidates: N.
        problems: Problems with N labelled candidates.
        incomplete: Problems that lack some.
        completions: Candidates that are there.
        truncated: Candidates cut at the token limit; None where the file does not say.
        no_answer: Labelled candidates without an answer, or with one that is ambiguous.
        rules: How often each extraction rule found the answer.
        labeller: Name of the judge that gives labels and answers.
        disagreeing: Labels that a second judge sets otherwise, of how many; None without one.
        mixed: Problems with right and wrong candidates.
        contradictory: Problems in which equal answers have different labels.
        temperatures: Of the weighted votes, by ranking.
        selectors: Accuracies.
        curves: Accuracy against k, by selector.
        rankings: How well each number orders candidates.
        ablations: The same of models that are shown less.
        selectors_by_ranking: Names of the selectors that take the best of each ranking.
        difficulty: Gains by the share of right candidates.
    """

    measure: str
    condition: str
    split: Split
    candidates: int
    problems: int
    incomplete: int
    completions: int
    truncated: int | None
    no_answer: int
    rules: dict[str, int]
    labeller: str
    disagreeing: tuple[int, int] | None
    mixed: int
    contradictory: int = 0
    temperatures: dict[str, Temperature]
    selectors: tuple[Selector, ...]
    curves: dict[str, tuple[AccuracyAt, ...]]
    rankings: tuple[RankingNumbers, ...]
    ablations: tuple[Ablation, ...]
    selectors_by_ranking: tuple[str, ...]
    difficulty: tuple[DifficultyBin, ...]

    @property
    def tests(self) -> int:
        """How many differences to majority are corrected together."""
        return sum(row.vs_majority is not None for row in self.selectors)

    def selector(self, name: str) -> Selector | None:
        """Return the selector of this name; None without it."""
        return next((row for row in self.selectors if row.selector == name), None)


class SelectionContent(Content):
    """Every set of candidates, in plan order."""

    sets: tuple[SetNumbers, ...]

    @property
    def leading(self) -> SetNumbers | None:
        """The set that a report leads with: the first of the test split."""
        return next((s for s in self.sets if s.problems and s.split == "test"), None)
