"""Directions from the activations of two kinds of answers.

Every direction points from negative to positive answers and is as long as their mean difference, so
that strengths mean the same with each of them; a negative strength is the flipped sign.

Shapes: N pairs, M questions, H hidden. All arithmetic in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from trimtab.core.lazy import lazy

if TYPE_CHECKING:
    import torch
    from sklearn import linear_model
else:
    torch = lazy("torch")
    linear_model = lazy("sklearn.linear_model")

Estimator = Literal["mean_difference", "pca", "probe"]


def direction(
    estimator: Estimator, positive_NH: torch.Tensor, negative_NH: torch.Tensor
) -> torch.Tensor:
    """Return the direction [H] that ``estimator`` makes of paired activations."""
    if estimator == "pca":
        return principal_direction(positive_NH - negative_NH)
    if estimator == "probe":
        return fit_probe(positive_NH, negative_NH).direction_H
    return mean_difference(positive_NH - negative_NH)


def mean_difference(difference_NH: torch.Tensor) -> torch.Tensor:
    """Return the mean over pairs [H]: CAA's direction (Panickssery et al., arXiv 2312.06681)."""
    return difference_NH.double().mean(dim=0)


def mean_projections(
    direction_H: torch.Tensor, positive_NH: torch.Tensor, negative_NH: torch.Tensor
) -> dict[str, float]:
    """Return the mean projection of either kind of answers onto the unit direction."""
    unit_H = direction_H / direction_H.norm().clamp(min=1e-30)
    sides = {"positive": positive_NH, "negative": negative_NH}
    return {name: float((some_NH @ unit_H).mean()) for name, some_NH in sides.items()}


def by_question(difference_NH: torch.Tensor, questions: Sequence[str]) -> torch.Tensor:
    """Return per-question means [M, H], questions in order of first appearance."""
    order = {q: i for i, q in enumerate(dict.fromkeys(questions))}
    index = torch.tensor([order[q] for q in questions])
    total = torch.zeros((len(order), difference_NH.shape[1]), dtype=torch.float64)
    total.index_add_(0, index, difference_NH.double())
    count = torch.bincount(index, minlength=len(order)).double()
    mean_MH: torch.Tensor = total / count[:, None]
    return mean_MH


def principal_direction(difference_NH: torch.Tensor) -> torch.Tensor:
    """Return the first principal direction [H] of the differences, not centred.

    It is the first component of the answers when each pair is centred at its own midpoint (Zou et
    al. 2023, arXiv 2310.01405, flip signs at random to the same end). A principal direction has no
    sign of its own: here the mean difference has a positive projection on it.
    """
    x = difference_NH.double()
    mean_H = x.mean(dim=0)
    first_H: torch.Tensor = torch.linalg.svd(x, full_matrices=False).Vh[0]
    sign = -1.0 if float(first_H @ mean_H) < 0 else 1.0
    return first_H * (sign * float(mean_H.norm()))


@dataclass(frozen=True, eq=False)
class Probe:
    """A logistic probe: an activation x is called positive if ``direction @ (x - middle) > 0``.

    Attributes:
        direction_H: Normal of the boundary, towards positive, as long as the mean difference.
        threshold: ``direction @ x`` on the boundary.
    """

    direction_H: torch.Tensor
    threshold: float

    def accuracy(self, positive_NH: torch.Tensor, negative_NH: torch.Tensor) -> float:
        """Return the share of answers that are called what they are; chance is 1/2."""
        right = ((positive_NH.double() @ self.direction_H) > self.threshold).double().mean()
        left = ((negative_NH.double() @ self.direction_H) <= self.threshold).double().mean()
        return float(right + left) / 2


def fit_probe(
    positive_NH: torch.Tensor, negative_NH: torch.Tensor, inverse_penalty: float = 1.0
) -> Probe:
    """Return the logistic regression of positive against negative activations.

    Features are centred and divided by one number, their root mean square, so that the penalty
    means the same at every layer: minimised is |w|^2 / 2 + ``inverse_penalty`` times the summed
    log loss, intercept free. The sign is that of the positive class.
    """
    x = torch.cat([positive_NH, negative_NH]).double()
    middle_H = x.mean(dim=0)
    scale = float((x - middle_H).square().mean().sqrt().clamp(min=1e-30))
    label = [1] * len(positive_NH) + [0] * len(negative_NH)
    model = linear_model.LogisticRegression(C=inverse_penalty, max_iter=1000, tol=1e-6)
    model.fit(((x - middle_H) / scale).numpy(), label)
    normal_H = torch.from_numpy(model.coef_[0]).double()
    length = mean_difference(positive_NH).sub(mean_difference(negative_NH)).norm()
    factor = length / normal_H.norm().clamp(min=1e-30)
    offset = -float(model.intercept_[0]) * scale * float(factor)
    return Probe(factor * normal_H, float(factor * normal_H @ middle_H) + offset)
