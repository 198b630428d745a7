"""A verdict that says nothing: the toss of a coin, drawn anew with every other text."""

from trimtab.core.keys import derive_seed
from trimtab.core.spec import Metric, Spec
from trimtab.judges.base import Item, ItemJudge, Verdict

__all__ = ["Coin"]


class Coin(ItemJudge[Spec]):
    """Heads for half of all texts."""

    Config = Spec

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """One toss."""
        return (Metric(name="heads", kind="binary", role="effect", higher_is_better=True),)

    def verdict(self, item: Item) -> Verdict:
        """Toss a coin for a problem and its answer."""
        return Verdict({"heads": float(derive_seed(item.sample.id, item.completion.text) % 2)})
