"""What a file of candidates said of them when it was imported; see ``trimtab data``."""

from __future__ import annotations

from typing import Any

from trimtab.core.spec import Metric, Spec
from trimtab.judges.base import Item, ItemJudge, Verdict
from trimtab.text.answers import NO_ANSWER, RECORDED, Extracted

__all__ = ["Recorded"]


class RecordedConfig(Spec):
    """Which of the recorded values there are.

    Attributes:
        score: Name of the recorded score; None if the file has none.
        lower_is_better: Whether low scores are good, as energies are.
    """

    score: str | None = None
    lower_is_better: bool = True


class Recorded(ItemJudge[RecordedConfig]):
    """Read label, answer and score from the sample's metadata, ``recorded``, by candidate index."""

    Config = RecordedConfig

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The label, and the score to rank by where the file has one."""
        label = Metric(name="correct", kind="binary", role="effect")
        if self.config.score is None:
            return (label,)
        return (
            label,
            Metric(
                name=self.config.score,
                kind="number",
                role="ranking",
                higher_is_better=not self.config.lower_is_better,
            ),
        )

    def verdict(self, item: Item) -> Verdict:
        """Return the recorded values; what was not recorded is None."""
        listed = item.sample.metadata.get("recorded")
        index = item.completion.index
        if not isinstance(listed, list) or index >= len(listed):
            return self.unscored("nothing is recorded of this candidate")
        row: Any = listed[index]
        values: dict[str, float | None] = {"correct": float(row["correct"])}
        if self.config.score is not None:
            values[self.config.score] = row["score"]
        missing = [name for name, value in values.items() if value is None]
        answer = row["answer"]
        return Verdict(
            values,
            reason=str(Extracted(RECORDED if answer is not None else NO_ANSWER, answer)),
            error=f"the file has no {', '.join(missing)}" if missing else None,
        )
