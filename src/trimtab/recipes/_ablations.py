"""Rerankers that are shown less: a ranking without the question, or by length alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from trimtab.core.spec import Component

Ablation = Literal[
    "question_removed", "question_shuffled", "answer_permuted", "length_only", "format_only"
]
ALL_ABLATIONS: tuple[Ablation, ...] = (
    "question_removed", "question_shuffled", "answer_permuted", "length_only", "format_only",
)  # fmt: skip
_ONLY: Mapping[str, str] = {"length_only": "length", "format_only": "format"}
# Kinds of energy that do not read pairs, so that nothing can be taken away from them.
_UNREAD = ("length", "format", "uncertainty")


def ablated(
    judges: Sequence[Component], ablations: Sequence[Ablation], fitted: bool
) -> list[Component]:
    """Return each reranker with less to see, and what length and format alone can do.

    Args:
        judges: The judges of the experiment; rerankers are those called ``energy``.
        ablations: What they are shown less of.
        fitted: Whether there is a fit split for rerankers of length and format.
    """
    energies = [judge for judge in judges if judge.name == "energy"]
    whole = [
        judge
        for judge in energies
        if judge.config.get("kind") not in _UNREAD and "ablation" not in judge.config
    ]
    changed = [
        Component(name="energy", config={**judge.config, "ablation": ablation})
        for ablation in ablations
        if ablation not in _ONLY
        for judge in whole
    ]
    given = [judge.config.get("kind") for judge in energies]
    alone = [
        Component(name="energy", config={"kind": _ONLY[ablation]})
        for ablation in ablations
        if ablation in _ONLY and fitted and _ONLY[ablation] not in given
    ]
    return changed + (alone if whole else [])
