"""Whether the answer is, word for word, one of the right answers."""

from __future__ import annotations

import unicodedata

from trimtab.core.spec import Metric, Spec
from trimtab.core.types import Sample
from trimtab.judges.base import Item, ItemJudge, Verdict

__all__ = ["Exact"]

_WRAPPING = "\"'`*_()[]{}\u2018\u2019\u201c\u201d\u00ab\u00bb"
_ENDING = ".,;:!?\u2026\u3002\uff01\uff1f"


class ExactConfig(Spec):
    """What two texts may differ in and still be the same.

    Attributes:
        ignore_case: Compare casefolded.
        strip_punctuation: Drop quotes, brackets and Markdown around the whole text, and sentence
            punctuation after it. A leading minus or point, and anything within, is kept: "-5" is
            not "5" and "3.5" is not "35".
    """

    ignore_case: bool = True
    strip_punctuation: bool = True


class Exact(ItemJudge[ExactConfig]):
    """Normalised match of the whole text with the target or any of metadata ``correct_answers``.

    Both sides are put into Unicode form NFKC with whitespace collapsed, then as configured. An
    empty text is wrong; a sample without a right answer is unscored.
    """

    Config = ExactConfig

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """One binary metric."""
        return (Metric(name="exact", kind="binary", role="effect"),)

    def verdict(self, item: Item) -> Verdict:
        """Score an item that has an answer; see the class."""
        right = {self._normalise(text) for text in _right_answers(item.sample)} - {""}
        if not right:
            return self.unscored("the sample has no target and no correct_answers")
        return Verdict({"exact": float(self._normalise(item.completion.text or "") in right)})

    def _normalise(self, text: str) -> str:
        folded = unicodedata.normalize("NFKC", text)
        if self.config.ignore_case:
            folded = unicodedata.normalize("NFKC", folded.casefold())
        folded = " ".join(folded.split())
        if not self.config.strip_punctuation:
            return folded
        while (bare := folded.rstrip(_ENDING + _WRAPPING).lstrip(_WRAPPING).strip()) != folded:
            folded = bare
        return folded


def _right_answers(sample: Sample) -> list[str]:
    listed = sample.metadata.get("correct_answers")
    answers = [a for a in listed if isinstance(a, str)] if isinstance(listed, list) else []
    return answers if sample.target is None else [sample.target, *answers]
