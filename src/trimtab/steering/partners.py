"""Whose prompt stands in for whose, where a control is to show whether prompts matter."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.core.keys import derive_seed


def partners(ids: Sequence[str], seed: int) -> dict[str, str]:
    """Return another of ``ids`` for each of them, so that each is one other's: a permutation.

    It depends on the set of ids and the seed, not on their order. A single id is its own partner.
    """
    order = sorted(ids, key=lambda one: (derive_seed("partner", seed, one), one))
    return dict(zip(order, [*order[1:], *order[:1]], strict=True))
