"""Log-probabilities of what was written to the one number that an advantage is multiplied with.

Shapes: T tokens of a segment; further dimensions in front are runs side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import torch

from trimtab.training.reinforce.config import Aggregation, Credit

T = TypeVar("T")


class Segments(NamedTuple, Generic[T]):
    """What there is of the answer and of the grade."""

    answer: T
    grade: T


def credited(segments: Segments[T], credit: Credit) -> list[T]:
    """Return the segments that are credited."""
    return {
        "all": [segments.answer, segments.grade],
        "answer": [segments.answer],
        "grade": [segments.grade],
    }[credit]


def aggregate(
    segments: Sequence[torch.Tensor], aggregation: Aggregation, most_tokens: int
) -> torch.Tensor:
    """Return one number [...] of the log-probabilities [..., T] of segments; none is empty.

    Args:
        segments: Those that are credited.
        aggregation: How; see ``ReinforceTraining``.
        most_tokens: What ``constant_length`` divides by.
    """
    if aggregation == "per_segment":
        return torch.stack([segment.mean(dim=-1) for segment in segments]).sum(dim=0)
    total = torch.stack([segment.sum(dim=-1) for segment in segments]).sum(dim=0)
    if aggregation == "sum":
        return total
    if aggregation == "constant_length":
        return total / most_tokens
    return total / sum(segment.shape[-1] for segment in segments)
