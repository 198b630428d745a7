"""The problems of a search: those that trials are evaluated on, and those that confirm the best."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.core.errors import ConfigError
from trimtab.core.keys import content_key
from trimtab.core.types import Sample
from trimtab.text.leaks import HeldOut
from trimtab.text.overlap import normalise_question


@dataclass(frozen=True)
class Problems:
    """The select split, cut by content hash.

    Attributes:
        rungs: What each rung adds.
        confirm: What no trial sees; none shares 13 words in a row with a problem of the rungs.
    """

    rungs: tuple[tuple[Sample, ...], ...]
    confirm: tuple[Sample, ...]

    @property
    def answered(self) -> tuple[Sample, ...]:
        """What a trial that passes every rung answers."""
        return tuple(itertools.chain(*self.rungs))


def cut(samples: Sequence[Sample], rungs: Sequence[int], share: float) -> Problems:
    """Cut the select split.

    A problem's hash alone says on which side of the cut it is, so none moves when others come.

    Args:
        samples: The select split.
        rungs: Problems of each rung.
        share: Of problems that are kept for the confirm step.

    Raises:
        ConfigError: There are too few on one side.
    """
    ranked = sorted(samples, key=lambda sample: (_rank(sample), sample.id))
    held = [sample for sample in ranked if int(_rank(sample)[:8], 16) < share * 16**8]
    others = [sample for sample in ranked if sample not in held]
    wanted = sum(rungs)
    if len(others) < wanted:
        raise ConfigError(
            f"search.rungs want {wanted} problems, and of the {len(samples)} of the select split "
            f"{len(others)} are there for trials.",
            hint="Take smaller rungs, a smaller `confirm` share, or more problems.",
        )
    starts = [sum(rungs[:i]) for i in range(len(rungs) + 1)]
    parts = tuple(tuple(others[a:b]) for a, b in itertools.pairwise(starts))
    seen = HeldOut(question(sample) for part in parts for sample in part)
    confirm = tuple(sample for sample in held if not seen.overlaps(question(sample)))
    if len(confirm) < 2:
        raise ConfigError(
            f"confirm = {share:g} leaves {len(confirm)} of {len(samples)} select problems for the "
            "confirm step.",
            hint="Raise `confirm`, or take more problems.",
        )
    return Problems(parts, confirm)


def question(sample: Sample) -> str:
    """Return what a problem asks, without the instruction around it."""
    asked = sample.metadata.get("question")
    return asked if isinstance(asked, str) else sample.messages[-1].content


def _rank(sample: Sample) -> str:
    return content_key(["confirm", normalise_question(question(sample))], 32)
