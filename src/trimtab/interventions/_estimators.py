"""Directions from activation differences, and how far to trust them.

Shapes: N pairs, M questions, L layers, H hidden. All arithmetic in float64.
"""

from __future__ import annotations

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


def mean_difference(difference_NH: torch.Tensor) -> torch.Tensor:
    """Return the mean over pairs [H]: CAA's direction (Panickssery et al., arXiv 2312.06681)."""
    return difference_NH.double().mean(dim=0)


def by_question(difference_NH: torch.Tensor, questions: Sequence[str]) -> torch.Tensor:
    """Return per-question means [M, H], questions in order of first appearance."""
    order = {q: i for i, q in enumerate(dict.fromkeys(questions))}
    index = torch.tensor([order[q] for q in questions])
    total = torch.zeros((len(order), difference_NH.shape[1]), dtype=torch.float64)
    total.index_add_(0, index, difference_NH.double())
    count = torch.bincount(index, minlength=len(order)).double()
    return total / count[:, None]


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
    unit = x / x.norm(dim=1, keepdim=True).clamp(min=1e-30)
    rho = float((unit.sum(dim=0).square().sum() - n) / (n * (n - 1)))
    generator = torch.Generator().manual_seed(seed)
    cosines = []
    for _ in range(_NUM_SPLITS):
        order = torch.randperm(n, generator=generator)
        first, second = x[order[: n // 2]].mean(dim=0), x[order[n // 2 :]].mean(dim=0)
        cosines.append(torch.nn.functional.cosine_similarity(first, second, dim=0))
    positive = max(rho, 0.0)
    return Reliability(
        num_units=n,
        mean_cosine=rho,
        split_half_measured=float(torch.stack(cosines).mean()),
        split_half_predicted=spearman_brown(positive, n / 2),
        population_cosine=spearman_brown(positive, n) ** 0.5,
    )
