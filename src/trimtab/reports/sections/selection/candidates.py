"""Candidates of a run, problem by problem, as the selectors of ``trimtab.stats`` want them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from trimtab.core.spec import Split
from trimtab.stats.selection import Candidates


class Scored(NamedTuple):
    """A candidate with its score, the lower the better."""

    score: float
    right: bool
    characters: float
    cluster: str


@dataclass(frozen=True)
class Ranking:
    """One number by which candidates are ranked, turned so that lower is better.

    Attributes:
        name: How tables call it.
        metric: The metric's name.
        sign: -1 where the metric itself is better when higher, else 1.
        scores: Unit -> one number per candidate; NaN where there is none.
        whole: For an ablation, the ranking by the same model that is shown everything, if the run
            has it.
    """

    name: str
    metric: str
    sign: int
    scores: Mapping[str, list[float]]
    whole: str | None = None


@dataclass
class CandidateSet:
    """The candidates of one condition of one measure.

    Attributes:
        measure: Name of the block.
        condition: Label of the condition.
        split: Which split of the task.
        num_candidates: N.
        num_planned: Problems that there should be.
        problems: Unit -> labels and answers, for the problems with N labelled candidates.
        lengths: Unit -> characters of each candidate's text.
        formatted: Unit -> whether each answer stands behind ``####`` or in a box.
        clusters: Unit -> cluster.
        rankings: What candidates can be ranked by.
        ablations: Rankings by models that are shown less than there is.
        greedy: Unit -> whether the greedy answer is right, if there is a greedy condition.
        rules: How often each extraction rule found the answer of a labelled candidate.
        truncated: Candidates cut at the token limit; None where the file does not say.
        num_completions: Candidates that are there.
        labeller: Name of the judge that gives labels and answers.
        disagreeing: Candidates that a second labelling judge labels otherwise, and how many it
            labelled; None without one.
    """

    measure: str
    condition: str
    split: Split
    num_candidates: int
    num_planned: int
    problems: dict[str, Candidates] = field(default_factory=dict)
    lengths: dict[str, list[float]] = field(default_factory=dict)
    formatted: dict[str, list[bool]] = field(default_factory=dict)
    clusters: dict[str, str] = field(default_factory=dict)
    rankings: list[Ranking] = field(default_factory=list)
    ablations: list[Ranking] = field(default_factory=list)
    greedy: dict[str, float] | None = None
    rules: Counter[str] = field(default_factory=Counter)
    truncated: int | None = 0
    num_completions: int = 0
    labeller: str = ""
    disagreeing: tuple[int, int] | None = None

    def scored(self, ranking: Ranking) -> list[Scored]:
        """Return the candidates that have a score."""
        return [
            Scored(score, ok, length, self.clusters[unit])
            for unit, problem in self.problems.items()
            for score, ok, length in zip(
                ranking.scores[unit], problem.correct, self.lengths[unit], strict=True
            )
            if not math.isnan(score)
        ]
