"""What answers are worth, by name: the rules that the judges of tasks go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from trimtab.core.types import Sample
from trimtab.text.answers import chat, is_correct
from trimtab.training.reinforce.evaluation import Scores


def number_scores(answers: Sequence[tuple[Sample, str]]) -> list[float | None]:
    """Return 1 where the number that an answer ends in is the target; None without a target."""
    return [
        None
        if sample.target is None
        else float(is_correct("chat", chat(text).answer, sample.target))
        for sample, text in answers
    ]


SCORES: Mapping[str, Scores] = MappingProxyType({"number": number_scores})
