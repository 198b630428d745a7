"""How probable the model finds its own text: the cheapest way to rank candidates."""

from __future__ import annotations

import math

from trimtab.core.spec import Metric, Spec
from trimtab.judges.base import Item, ItemJudge, Verdict

__all__ = ["Likelihood"]


class LikelihoodConfig(Spec):
    """Nothing to configure."""


class Likelihood(ItemJudge[LikelihoodConfig]):
    """Mean log-probability of the generated tokens at temperature 1, in nats per token.

    The token that ended the text counts. A completion without a log-probability is unscored.
    """

    Config = LikelihoodConfig

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """One number to rank by; higher is better."""
        return (Metric(name="mean_logprob", kind="number", role="ranking", unit="nats/token"),)

    def verdict(self, item: Item) -> Verdict:
        """Score an item that has an answer; see the class."""
        total, count = item.completion.logprob, item.completion.num_tokens
        if total is None or not count or not math.isfinite(total):
            return self.unscored("the completion has no log-probability")
        return Verdict({"mean_logprob": total / count})
