"""How well a model still predicts ordinary text: the first thing that too strong an edit breaks."""

from __future__ import annotations

import math

from trimtab.core.spec import Metric, Spec
from trimtab.judges.base import Item, ItemJudge, Verdict

__all__ = ["Perplexity"]


class PerplexityConfig(Spec):
    """Nothing to configure."""


class Perplexity(ItemJudge[PerplexityConfig]):
    """Negative log-likelihood of the reference choices in nats per token; exp of it is perplexity.

    Several reference choices are pooled: the sum of their log-probabilities over the sum of their
    tokens. An item without a reference choice, or with a non-finite number, is unscored.
    """

    Config = PerplexityConfig
    output = "options"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """One number, lower is better."""
        return (
            Metric(
                name="nll_per_token",
                kind="number",
                role="damage",
                higher_is_better=False,
                unit="nats/token",
            ),
        )

    def verdict(self, item: Item) -> Verdict:
        """Score an item that has an answer; see the class."""
        choices = item.sample.choices
        logprobs = item.completion.option_logprobs or ()
        counts = item.completion.option_num_tokens or ()
        if not len(logprobs) == len(counts) == len(choices):
            return self.unscored(
                f"{len(logprobs)} log-probabilities and {len(counts)} token counts for "
                f"{len(choices)} choices"
            )
        picked = [i for i, choice in enumerate(choices) if choice.reference]
        num_tokens = sum(counts[i] for i in picked)
        if num_tokens == 0:
            return self.unscored("no choice is a reference, or the references have no tokens")
        total = math.fsum(logprobs[i] for i in picked)
        if not math.isfinite(total):
            return self.unscored("a log-probability is not finite")
        # `0.0 -` keeps a sum of zero from becoming -0.0.
        return Verdict({"nll_per_token": (0.0 - total) / num_tokens})
