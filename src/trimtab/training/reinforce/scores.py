"""What answers are worth, by name: the rules that the judges of tasks go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from trimtab.core.types import Sample
from trimtab.text.answers import chat, is_correct
from trimtab.text.labels import labels_of, parse_label
from trimtab.text.rouge import references_of, rouge
from trimtab.training.reinforce.evaluation import Scores


def number_scores(answers: Sequence[tuple[Sample, str]]) -> list[float | None]:
    """Return 1 where the number that an answer ends in is the target; None without a target."""
    return [
        None
        if sample.target is None
        else float(is_correct("chat", chat(text).answer, sample.target))
        for sample, text in answers
    ]


def label_scores(answers: Sequence[tuple[Sample, str]]) -> list[float | None]:
    """Return 1 where an answer gives the target as its label; None without a target."""
    scores: list[float | None] = []
    for sample, text in answers:
        labels = labels_of(sample)
        scores.append(float(parse_label(text, labels) == sample.target) if labels else None)
    return scores


def rouge_scores(answers: Sequence[tuple[Sample, str]]) -> list[float | None]:
    """Return the F of ROUGE-L, words without endings; None without a reference."""
    scores: list[float | None] = []
    for sample, text in answers:
        references = references_of(sample)
        scores.append(rouge(text, references, ("rougeL",))["rougeL"] if references else None)
    return scores


SCORES: Mapping[str, Scores] = MappingProxyType(
    {"number": number_scores, "label": label_scores, "rouge": rouge_scores}
)
