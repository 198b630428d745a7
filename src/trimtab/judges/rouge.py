"""How much of a reference text stands in an answer, in its order: ROUGE.

Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", by the library rouge-score with
Porter's stemmer, which is what papers on CNN/DailyMail report.
"""

from __future__ import annotations

from pydantic import Field

from trimtab.core.spec import Metric, Spec
from trimtab.judges.base import Item, ItemJudge, Verdict
from trimtab.text.rouge import references_of, rouge

__all__ = ["Rouge"]

_KINDS = {"rouge_l": "rougeL", "rouge_1": "rouge1", "rouge_2": "rouge2"}


class _Config(Spec):
    """How words are compared, and what counts as a good answer.

    Attributes:
        stem: Compare words without their endings.
        passes: ROUGE-L above this is ``rouge_pass``.
    """

    stem: bool = True
    passes: float = Field(default=0.3, ge=0, lt=1)


class Rouge(ItemJudge[_Config]):
    """F of ROUGE-L, 1 and 2 against the target, or the metadata ``correct_answers`` if nearer.

    An answer without words is worth 0. A sample without a reference text that has words in it
    (letters a to z, digits) is unscored.
    """

    Config = _Config

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """ROUGE-L first; it is the reward, and the others read the same overlap otherwise."""
        first = Metric(name=next(iter(_KINDS)), kind="fraction", role="effect")
        return (
            first,
            *(first.read_again(name, "fraction") for name in list(_KINDS)[1:]),
            first.read_again("rouge_pass", "binary"),
        )

    def verdict(self, item: Item) -> Verdict:
        """Score an item that has an answer; see the class."""
        references = references_of(item.sample)
        if not references:
            return self.unscored("the sample has no reference text with words of a-z or 0-9")
        found = rouge(
            item.completion.text or "", references, tuple(_KINDS.values()), stem=self.config.stem
        )
        values: dict[str, float | None] = {name: found[kind] for name, kind in _KINDS.items()}
        passed = float(found[_KINDS["rouge_l"]] > self.config.passes)
        return Verdict({**values, "rouge_pass": passed})
