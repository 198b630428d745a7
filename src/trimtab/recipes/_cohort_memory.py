"""How much memory a cohort takes on each model, by how many of its runs learn side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trimtab.core.types import Sample
from trimtab.models.load import ResolvedModel
from trimtab.models.training_memory import estimate_cohort
from trimtab.training.reinforce.config import CohortTraining

_CHARACTERS_PER_TOKEN = 3
"""Of prose it is above 4, of sums about 2."""
_SMALLER = (1, 4, 16, 64)
"""Cohorts that are told beside the whole one."""


def memory_lines(
    models: Sequence[ResolvedModel], cohort: CohortTraining, samples: Sequence[Sample]
) -> Iterator[str]:
    """Yield a line per model.

    Args:
        models: The bases.
        cohort: The runs.
        samples: What they answer; the longest one counts.
    """
    settings = list(cohort.settings().values())
    longest = max(map(_characters, samples), default=0)
    said = max(len(one.request) + len(one.system) for one in settings)
    written = max(one.answer_tokens + one.grade_tokens for one in settings)
    tokens = (longest + said) // _CHARACTERS_PER_TOKEN + written
    largest = max(len(cohort.cohort_of(name).settings()) for name in cohort.settings())
    sizes = sorted({*(n for n in _SMALLER if n < largest), largest})
    for model in models:
        told = []
        for size in sizes:
            some = settings[:size]
            estimate = estimate_cohort(
                model.card,
                model.spec,
                rank=max(one.rank for one in some),
                runs=size,
                rows=sum(one.batch * one.samples for one in some),
                row_tokens=tokens,
                most_tokens=cohort.most_tokens,
            )
            told.append(f"{estimate.total / 2**30:.1f} GiB for {size} side by side")
        yield (
            f"training of {model.spec.id}: about {', '.join(told)}, conversations of up to "
            f"{tokens} tokens"
        )


def _characters(sample: Sample) -> int:
    return len(sample.preamble) + sum(len(message.content) for message in sample.messages)
