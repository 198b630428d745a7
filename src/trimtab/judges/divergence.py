"""How far an edit moves the model's predictions where nothing was to change."""

from __future__ import annotations

import math

from trimtab.core.spec import Metric, Spec
from trimtab.judges.base import Item, ItemJudge, Verdict

__all__ = ["Divergence"]


class DivergenceConfig(Spec):
    """Nothing to configure."""


class Divergence(ItemJudge[DivergenceConfig]):
    """KL(baseline || condition) on the reference choices' tokens, in nats per token.

    The engine measures it; each reference choice counts once, however long it is. Li et al. 2023
    (arXiv 2306.03341) report the same quantity on held-out text. An item whose reference choices
    lack a finite divergence is unscored.
    """

    Config = DivergenceConfig
    output = "options"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """One number, lower is better."""
        return (
            Metric(
                name="kl", kind="number", role="damage", higher_is_better=False, unit="nats/token"
            ),
        )

    def verdict(self, item: Item) -> Verdict:
        """Score an item that has an answer; see the class."""
        choices = item.sample.choices
        kl = item.completion.option_kl or ()
        if len(kl) != len(choices):
            return self.unscored(f"{len(kl)} divergences for {len(choices)} choices")
        found = [value for choice, value in zip(choices, kl, strict=True) if choice.reference]
        if not found:
            return self.unscored("no choice is a reference")
        finite = [value for value in found if value is not None and math.isfinite(value)]
        if len(finite) != len(found):
            return self.unscored("a reference choice has no finite divergence")
        return Verdict({"kl": math.fsum(finite) / len(finite)})
