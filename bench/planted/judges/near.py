"""How far a text goes with the text that the planted configuration writes."""

import json
from functools import cached_property
from itertools import takewhile
from pathlib import Path

from trimtab.core.keys import content_key
from trimtab.core.spec import Metric, Spec
from trimtab.judges.base import Item, ItemJudge, Verdict

__all__ = ["Near"]


class NearConfig(Spec):
    """A JSON file of texts by problem."""

    file: str


class Near(ItemJudge[NearConfig]):
    """The common beginning of both texts, as a share of the longer one; 1 is the same text."""

    Config = NearConfig

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """One share."""
        return (Metric(name="near", kind="fraction", role="effect", higher_is_better=True),)

    @cached_property
    def _texts(self) -> dict[str, str]:
        texts: dict[str, str] = json.loads(Path(self.config.file).read_text())
        return texts

    @property
    def fingerprint(self) -> str:
        """The texts' hash."""
        return content_key(self._texts)

    def verdict(self, item: Item) -> Verdict:
        """Compare a text with the planted one."""
        wanted, text = self._texts.get(item.sample.id), item.completion.text or ""
        if wanted is None:  # the test split, which the planted configuration did not answer
            return self.unscored("no planted text")
        pairs = zip(wanted, text, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        return Verdict({"near": same / max(len(wanted), len(text), 1)})
