"""How far a mean difference can be trusted: rho, split halves, and how many questions it takes.

The unit is the question, since pairs of one question are not independent. With rho the mean
pairwise cosine of the differences, two means of n independent differences have the expected cosine
r_n = n * rho / (1 + (n - 1) * rho) (Spearman-Brown), and one has sqrt(r_n) with the population's.

Shapes: M questions, H hidden. All arithmetic in float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from trimtab.core.lazy import lazy

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")

_NUM_SPLITS = 64


@dataclass(frozen=True)
class Reliability:
    """How well a mean difference is determined by its data.

    Pairs of one question are not independent, so the unit is the question: rho and the split halves
    are computed on per-question mean differences.

    Attributes:
        num_units: Questions.
        mean_cosine: Mean pairwise cosine rho of the per-question differences.
        split_half_measured: Mean cosine between the means of random halves.
        split_half_predicted: h * rho / (1 + (h - 1) * rho) for halves of h questions.
        population_cosine: Predicted cosine of the full mean to the population's, sqrt(r_n) with
            r_n = n * rho / (1 + (n - 1) * rho). The law is Spearman-Brown's; see docs/papers.md.
    """

    num_units: int
    mean_cosine: float | None
    split_half_measured: float | None
    split_half_predicted: float | None
    population_cosine: float | None

    def as_dict(self) -> dict[str, float | int | None]:
        """Return the fields as JSON."""
        return asdict(self)


def spearman_brown(rho: float, n: float) -> float:
    """Return the expected cosine between two independent means of ``n`` differences each."""
    return n * rho / (1 + (n - 1) * rho)


def reliability(difference_MH: torch.Tensor, seed: int) -> Reliability:
    """Return the reliability of the mean of ``difference_MH`` (one row per question).

    Fewer than 4 questions have no halves to compare: the measures are None, not 0.
    """
    n = len(difference_MH)
    if n < 4:
        return Reliability(n, None, None, None, None)
    x = difference_MH.double()
    rho = mean_cosine(x)
    generator = torch.Generator().manual_seed(seed)
    cosines = []
    for _ in range(_NUM_SPLITS):
        order = torch.randperm(n, generator=generator)
        first, second = x[order[: n // 2]].mean(dim=0), x[order[n // 2 :]].mean(dim=0)
        cosines.append(_cosine(first, second))
    positive = max(rho, 0.0)
    return Reliability(
        num_units=n,
        mean_cosine=rho,
        split_half_measured=float(torch.stack(cosines).mean()),
        split_half_predicted=spearman_brown(positive, n / 2),
        population_cosine=spearman_brown(positive, n) ** 0.5,
    )


@dataclass(frozen=True)
class CurvePoint:
    """Means of ``n`` questions against each other: measured, and as the law has it.

    Attributes:
        n: Questions in each mean.
        measured: Mean cosine between the means of two disjoint random sets of n questions.
        predicted: n * rho / (1 + (n - 1) * rho).
        num_splits: Random pairs of sets behind ``measured``; they overlap between one another.
    """

    n: int
    measured: float
    predicted: float
    num_splits: int


def reliability_curve(
    difference_MH: torch.Tensor, sizes: Sequence[int], seed: int, num_splits: int = _NUM_SPLITS
) -> list[CurvePoint]:
    """Return measured and predicted reliability at ``sizes``, as far as two sets of them exist.

    A size above half of the questions is lowered to half of them; fewer than 4 questions give none.
    With few splits chance moves what is measured: one cosine of small sets varies by 0.1 or more.
    """
    x = difference_MH.double()
    half = len(x) // 2
    if len(x) < 4:
        return []
    rho = max(mean_cosine(x), 0.0)
    generator = torch.Generator().manual_seed(seed)
    points = []
    for n in sorted({min(size, half) for size in sizes}):
        orders = [torch.randperm(len(x), generator=generator) for _ in range(num_splits)]
        cosines = [
            float(_cosine(x[order[:n]].mean(dim=0), x[order[n : 2 * n]].mean(dim=0)))
            for order in orders
        ]
        measured = math.fsum(cosines) / len(cosines)
        points.append(CurvePoint(n, measured, spearman_brown(rho, n), len(cosines)))
    return points


def questions_needed(rho: float, cosine: float) -> int | None:
    """Return how many differences give a mean the expected ``cosine`` with the population's.

    None if ``rho`` is not positive: no number of them would.
    """
    if rho <= 0:
        return None
    return max(1, math.ceil(cosine**2 * (1 - rho) / (rho * (1 - cosine**2))))


def mean_cosine(x_MH: torch.Tensor) -> float:
    """Return the mean cosine between two different rows, without comparing them one by one."""
    n = len(x_MH)
    unit = x_MH / x_MH.norm(dim=1, keepdim=True).clamp(min=1e-30)
    return float((unit.sum(dim=0).square().sum() - unit.square().sum()) / (n * (n - 1)))


def _cosine(a_H: torch.Tensor, b_H: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cosine_similarity(a_H, b_H, dim=0)
