"""What an intervention may break that a truthfulness score does not show."""

from __future__ import annotations

from typing import Literal

from trimtab.core.spec import Metric, Spec
from trimtab.judges.base import Item, ItemJudge, Verdict
from trimtab.text.health import asks_follow_up, is_empty, looks_refusal, num_words
from trimtab.text.overlap import is_collapsed, repetition

__all__ = ["TextHealth"]


class TextHealthConfig(Spec):
    """Nothing to configure."""


class TextHealth(ItemJudge[TextHealthConfig]):
    """Length, repetition and bad endings of a text; the rules are those of ``trimtab.text``.

    ``repetition`` is the share of word 4-grams that repeat an earlier one, and 0 for a text too
    short to have any. ``tokens`` counts the token that ended the text.
    """

    Config = TextHealthConfig

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Damage only; neither more nor fewer words are better as such."""
        return (
            _damage("words", "number", None, "words"),
            _damage("tokens", "number", None, "tokens"),
            _damage("repetition", "fraction"),
            _damage("empty", "binary"),
            _damage("truncated", "binary"),
            _damage("follow_up", "binary"),
            _damage("refusal", "binary"),
            _damage("collapsed", "binary"),
        )

    def verdict(self, item: Item) -> Verdict:
        """Score an item that has an answer; see the class."""
        text = item.completion.text or ""
        counted = item.completion.num_tokens > 0 or not text
        ended = item.completion.finish_reason
        unsaid = [
            what
            for what, said in (
                ("how many tokens it has", counted),
                ("why it ended", ended != "unknown"),
            )
            if not said
        ]
        return Verdict(
            error=f"the completion does not say {' or '.join(unsaid)}" if unsaid else None,
            values={
                "words": float(num_words(text)),
                "tokens": float(item.completion.num_tokens) if counted else None,
                "repetition": repetition(text),
                "empty": float(is_empty(text)),
                "truncated": None if ended == "unknown" else float(ended == "length"),
                "follow_up": float(asks_follow_up(text)),
                "refusal": float(looks_refusal(text)),
                "collapsed": float(is_collapsed(text)),
            },
        )


def _damage(
    name: str,
    kind: Literal["binary", "fraction", "number"],
    higher_is_better: bool | None = False,
    unit: str = "",
) -> Metric:
    return Metric(name=name, kind=kind, role="damage", higher_is_better=higher_is_better, unit=unit)
