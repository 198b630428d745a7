"""How far answers move when numbers are rounded differently: measured, not hidden.

The same requests are run twice, in another number format or another batch shape, and compared row
by row. Two runs of a deterministic engine in one shape and format have no drift at all.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from trimtab.engine.request import OptionsResult, Result, TextResult


@dataclass(frozen=True)
class Drift:
    """What differs between two runs of the same requests.

    Attributes:
        texts: Texts compared.
        differing: Texts with another token somewhere.
        first: Median position (0 is the first generated token) at which those part; None if all
            are equal.
        options: Options compared.
        largest: Largest absolute difference of an option's log-probability, in nats, summed over
            its tokens; None without options.
        mean: Mean of that difference; None without options.
        other_best: Questions whose likeliest option is another one.
        questions: Questions compared.
    """

    texts: int
    differing: int
    first: float | None
    options: int
    largest: float | None
    mean: float | None
    other_best: int
    questions: int


def compare(reference: Iterable[Result], other: Iterable[Result]) -> Drift:
    """Compare the results of the same requests, in any order; activations are left out.

    Raises:
        ValueError: The two sides don't have the same keys.
    """
    left, right = ({result.key: result for result in side} for side in (reference, other))
    if left.keys() != right.keys():
        raise ValueError(f"{len(left.keys() ^ right.keys())} requests were run on one side only")
    parted: list[int | None] = []
    differences: list[float] = []
    other_best = questions = 0
    for key, a in left.items():
        b = right[key]
        if isinstance(a, TextResult) and isinstance(b, TextResult):
            parted.append(_first_difference(a.tokens, b.tokens))
        elif isinstance(a, OptionsResult) and isinstance(b, OptionsResult):
            questions += 1
            other_best += _best(a.logprobs) != _best(b.logprobs)
            differences += [abs(x - y) for x, y in zip(a.logprobs, b.logprobs, strict=True)]
    positions = [position for position in parted if position is not None]
    return Drift(
        texts=len(parted),
        differing=len(positions),
        first=statistics.median(positions) if positions else None,
        options=len(differences),
        largest=max(differences, default=None),
        mean=statistics.fmean(differences) if differences else None,
        other_best=other_best,
        questions=questions,
    )


def _first_difference(a: tuple[int, ...], b: tuple[int, ...]) -> int | None:
    """Return where two texts part; one that ends earlier parts where it ends."""
    for position, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return position
    return min(len(a), len(b)) if len(a) != len(b) else None


def _best(logprobs: tuple[float, ...]) -> int:
    return max(range(len(logprobs)), key=logprobs.__getitem__)
