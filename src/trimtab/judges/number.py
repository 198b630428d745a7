"""Whether the number that a text ends in is the right one, by the rule named in the score."""

from __future__ import annotations

from trimtab.core.spec import Metric, Spec
from trimtab.judges.base import Item, ItemJudge, Verdict
from trimtab.text.answers import EXTRACTORS, ExtractorName, is_correct
from trimtab.text.tolerance import Tolerance

__all__ = ["Number"]


class NumberConfig(Spec):
    """How the answer is found.

    Attributes:
        extractor: Whose answer counts as ``correct`` and is voted on; see ``trimtab.text.answers``.
    """

    extractor: ExtractorName = "chat"


class Number(ItemJudge[NumberConfig]):
    """Compare the extracted number with the sample's target.

    ``correct`` is by the chosen extractor; ``strict``, ``flexible`` and ``chat`` stand beside it,
    because accuracy without its rule says nothing, and so does the share without an answer. (Texts
    that were cut at the token limit are counted by every report.) A text without an answer is
    wrong, also where it can be read in two ways (rule ``ambiguous``) or is denied (``not 42``).
    The reason of a score is the rule that fired and the answer, as ``str(Extracted)`` writes it. A
    sample without a target is unscored. ``tolerance`` in a sample's metadata, a ``Tolerance`` that
    the protocol names, says how far ``chat`` lets a number be off.
    """

    Config = NumberConfig
    VERSION = 5
    FIRST_REWARD = 2

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Accuracy, the same by each rule, and what lowers it without a wrong sum."""
        return (
            Metric(name="correct", kind="binary", role="effect"),
            *(Metric(name=name, kind="binary", role="reading") for name in EXTRACTORS),
            Metric(name="no_answer", kind="binary", role="damage", higher_is_better=False),
        )

    def verdict(self, item: Item) -> Verdict:
        """Score an item that has an answer; see the class."""
        gold, text = item.sample.target, item.completion.text or ""
        if gold is None:
            return self.unscored("the sample has no target")
        given = item.sample.metadata.get("tolerance")
        tolerance = None if given is None else Tolerance.model_validate(given)
        found = {name: extract(text) for name, extract in EXTRACTORS.items()}
        right: dict[str, float | None] = {
            name: float(is_correct(name, found[name].answer, gold, tolerance)) for name in found
        }
        chosen = found[self.config.extractor]
        correct, no_answer = right[self.config.extractor], float(chosen.answer is None)
        values = {"correct": correct, **right, "no_answer": no_answer}
        return Verdict(values, reason=str(chosen))
