"""From a run's completions to the groups of candidates that a reranker learns from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trimtab.core.errors import DataError
from trimtab.core.types import Sample
from trimtab.steering.fitted import ScoredCompletion
from trimtab.training.rerankers.config import problem_of
from trimtab.training.rerankers.corrupt import corrupted
from trimtab.training.rerankers.groups import Group


def labelled(completions: Sequence[ScoredCompletion]) -> list[Group]:
    """Return each problem's candidates with their labels, in order of first appearance.

    Those without a text or without a label are left out; a problem may be left with none.
    """
    groups: dict[str, list[tuple[str, bool]]] = {}
    for row in completions:
        candidates = groups.setdefault(problem_of(row.sample), [])
        completion = row.completion
        if completion.text is not None and completion.error is None and row.reward is not None:
            candidates.append((completion.text, row.reward == 1.0))
    return [
        Group(problem, tuple(text for text, _ in some), tuple(right for _, right in some))
        for problem, some in groups.items()
    ]


def synthetic(completions: Sequence[ScoredCompletion], seed: int) -> list[Group]:
    """Return each problem's gold solution with a corrupted copy; raise DataError if it has none."""
    groups: dict[str, Group] = {}
    for sample in {row.sample.id: row.sample for row in completions}.values():
        solution = sample.metadata.get("solution")
        if not isinstance(solution, str):
            raise DataError(
                f"The sample {sample.id!r} has no gold solution to corrupt.",
                hint="Use `candidates: samples`, or a task with solutions (gsm8k).",
            )
        problem = problem_of(sample)
        groups[problem] = corrupted(problem, solution, seed)
    return list(groups.values())


def problems(samples: Iterable[Sample]) -> list[str]:
    """Return what the samples ask, each problem once, sorted."""
    return sorted({problem_of(sample) for sample in samples})
