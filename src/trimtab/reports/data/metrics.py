"""Which metrics a measure has, and those that are derived from others or from the texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trimtab.core.plan import Cell, JudgePlan
from trimtab.core.spec import Metric

Floats = npt.NDArray[np.float64]

TRUTH_INFO = "truth_info"
# Texts that another question of the condition got too: a model that says one thing to all.
SAME_ANSWER = "same_answer"
# Negative log-likelihood per token, whose exponential is a perplexity.
NLL = "nll_per_token"
# Probability of the letter whose answer shows a behaviour, and of the right letter.
MATCHING, RIGHT = "matching", "right_letter"


@dataclass(frozen=True)
class MetricRef:
    """A metric as it is named within one block.

    Attributes:
        id: The metric's name; where judges of a block share it, ``@`` and the judge's name follow,
            or the judge's key where that is needed to tell them apart.
        metric: The metric itself.
        judge: Key of the judge that gives it; None if it is derived.
        parts: The two metrics (ids) whose conjunction it is; None of what is derived from texts.
    """

    id: str
    metric: Metric
    judge: str | None = None
    parts: tuple[str, str] | None = None


def metrics_of(cell: Cell, judges: Sequence[JudgePlan]) -> list[MetricRef]:
    """Return the metrics of the measure that ``cell`` belongs to, derived ones last."""
    # a panel stands for its members, whose verdicts are in the table of agreement
    members = {key for judge in judges for key in judge.members}
    given = [
        (judge, metric)
        for judge in judges
        if judge.key not in members and judge.scores(cell)
        for metric in judge.metrics
    ]
    names = [metric.name for _, metric in given]
    holders = [(metric.name, judge.component.name) for judge, metric in given]
    refs = []
    for judge, metric in given:
        single = holders.count((metric.name, judge.component.name)) == 1
        by = judge.component.name if single else judge.key
        name = metric.name if names.count(metric.name) == 1 else f"{metric.name}@{by}"
        refs.append(MetricRef(name, metric, judge.key))
    refs += _conjunctions(refs)
    if cell.output == "text" and any(ref.metric.role == "damage" for ref in refs):
        same = Metric(name=SAME_ANSWER, kind="binary", role="damage", higher_is_better=False)
        refs.append(MetricRef(SAME_ANSWER, same))
    return refs


def _conjunctions(refs: Sequence[MetricRef]) -> list[MetricRef]:
    truth = [ref for ref in refs if ref.metric.name == "truth"]
    info = [ref for ref in refs if ref.metric.name == "info"]
    both = Metric(name=TRUTH_INFO, kind="binary", role="effect", higher_is_better=True)
    # The k-th truth judge goes with the k-th info judge: two pairs of judges stay two pairs.
    return [
        MetricRef(TRUTH_INFO + left.id.removeprefix("truth"), both, parts=(left.id, right.id))
        for left, right in zip(truth, info, strict=False)
    ]


def conjunction(left_N: Floats, right_N: Floats) -> Floats:
    """Return 1 where both verdicts are yes, 0 where not, NaN where either is missing, [N]."""
    missing = np.isnan(left_N) | np.isnan(right_N)
    return np.where(missing, math.nan, (left_N > 0.5) & (right_N > 0.5))


def same_answers(texts: Sequence[bytes | None], units: Sequence[int]) -> list[float]:
    """Return 1 for each text that another question got too, NaN where there is no text.

    Args:
        texts: A hash of each text.
        units: The question of each.
    """
    first: dict[bytes, int] = {}
    shared = {
        text
        for text, unit in zip(texts, units, strict=True)
        if text is not None and first.setdefault(text, unit) != unit
    }
    return [math.nan if text is None else float(text in shared) for text in texts]
