"""Whether the label that a text gives is the right one."""

from __future__ import annotations

from trimtab.core.spec import Metric, Spec
from trimtab.judges.base import Item, ItemJudge, Verdict
from trimtab.text.labels import labels_of, parse_label

__all__ = ["Label"]


class _Config(Spec):
    """There is nothing to choose."""


class Label(ItemJudge[_Config]):
    """Compare the one label of metadata ``labels`` that a text gives with the sample's target.

    Without ``labels`` the target is the one label that can be recognised. A text that gives none,
    or that may mean two, is wrong and counted in ``no_label``. A sample without a target, or whose
    target is none of its labels, is unscored. How a label is read: ``trimtab.text.labels``.
    """

    Config = _Config
    VERSION = 3

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Accuracy, and what lowers it without a wrong label."""
        return (
            Metric(name="correct", kind="binary", role="effect"),
            Metric(name="no_label", kind="binary", role="damage", higher_is_better=False),
        )

    def verdict(self, item: Item) -> Verdict:
        """Score an item that has an answer; see the class."""
        labels = labels_of(item.sample)
        if not labels:
            return self.unscored("the sample has no target, or one that is none of its labels")
        found = parse_label(item.completion.text or "", labels)
        values: dict[str, float | None] = {
            "correct": float(found == item.sample.target),
            "no_label": float(found is None),
        }
        return Verdict(values, reason=found or "no label")
