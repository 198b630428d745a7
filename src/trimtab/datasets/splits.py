"""Fit, select and test: disjoint by content, stratified, and the same in any row order.

The unit is the normalised text, so two spellings of one question never land in two splits. Units
are ranked by a hash of that text; within the ranking each goes to the split that is furthest behind
its fraction. A stratum is a contiguous stretch of the ranking, so every stratum and the whole keep
to the fractions. Adding a question can move others: a split belongs to one version of the data.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import Protocol, TypeVar

from pydantic import Field, model_validator

from trimtab.core.keys import content_key
from trimtab.core.spec import Spec, Split
from trimtab.text.overlap import normalise_question

_SPLITS: tuple[Split, ...] = ("fit", "select", "test")
_TOLERANCE = 1e-9


class Splittable(Protocol):
    """What has a text to be split by and a stratum to be balanced over."""

    @property
    def split_text(self) -> str:
        """The text whose normalised form is the unit."""
        ...

    @property
    def stratum(self) -> str:
        """The group over which splits are balanced."""
        ...


T = TypeVar("T", bound=Splittable)


class Fractions(Spec):
    """Shares of the questions; ``{fit: 0, select: 0, test: 1}`` is a benchmark on all of them.

    Attributes:
        fit: For fitting vectors, networks and adapters.
        select: For choosing strengths, layers and the like.
        test: For the numbers that are reported.
    """

    fit: float = Field(default=0.4, ge=0, le=1)
    select: float = Field(default=0.2, ge=0, le=1)
    test: float = Field(default=0.4, ge=0, le=1)

    @model_validator(mode="after")
    def _sum_to_one(self) -> Fractions:
        total = self.fit + self.select + self.test
        if abs(total - 1) > _TOLERANCE:
            raise ValueError(f"fit + select + test must be 1, they are {total:g}")
        return self

    def of(self, split: Split) -> float:
        """Return the fraction of ``split``."""
        return {"fit": self.fit, "select": self.select, "test": self.test}[split]


def in_split(items: Sequence[T], split: Split, fractions: Fractions) -> list[T]:
    """Return the items of ``split``, in their given order."""
    stratum_of: dict[str, str] = {}
    for item in items:
        unit = normalise_question(item.split_text)
        # Spellings of one question may be filed under two strata; the unit needs one.
        stratum_of[unit] = min(item.stratum, stratum_of.get(unit, item.stratum))
    ranked = sorted(stratum_of, key=lambda unit: (stratum_of[unit], _rank(unit)))
    assigned = dict(zip(ranked, _assign(len(ranked), fractions), strict=True))
    return [item for item in items if assigned[normalise_question(item.split_text)] == split]


def _assign(num_units: int, fractions: Fractions) -> list[Split]:
    """Return a split per rank, always the one furthest behind (sequential largest remainder)."""
    counts: Counter[Split] = Counter()
    assigned: list[Split] = []
    for k in range(1, num_units + 1):
        # Rounding, so that ties by arithmetic go to the first split on every machine.
        behind = {s: round(fractions.of(s) * k - counts[s], 9) for s in _SPLITS}
        chosen = max(_SPLITS, key=lambda s: behind[s])
        counts[chosen] += 1
        assigned.append(chosen)
    return assigned


def spread(items: Sequence[T], limit: int | None) -> list[T]:
    """Return ``limit`` items taken in turn from the strata, largest stratum first, by hash.

    A smaller limit gives a subset of what a larger one gives; None gives all.
    """
    if limit is None:
        return list(items)
    strata: defaultdict[str, list[T]] = defaultdict(list)
    for item in sorted(items, key=_item_rank):
        strata[item.stratum].append(item)
    queues = sorted(strata.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    turns = zip_longest(*(queue for _, queue in queues))
    return [item for turn in turns for item in turn if item is not None][:limit]


def _rank(unit: str) -> str:
    return content_key(["split", unit], 32)


def _item_rank(item: Splittable) -> tuple[str, str]:
    return (_rank_of_text(item.split_text), item.split_text)


@lru_cache(maxsize=1 << 15)
def _rank_of_text(text: str) -> str:
    """Return the rank of a text's unit; a plan that grows asks again for the same ones."""
    return _rank(normalise_question(text))
