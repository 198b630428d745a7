"""What a model says of an answer, against what the answer is worth: inflation."""

from __future__ import annotations

from trimtab.core.spec import Metric, Spec
from trimtab.judges.base import Item, ItemJudge, Verdict
from trimtab.text.grades import GradeScale, parse_grade

__all__ = ["Grade"]


class _Config(Spec):
    """There is nothing to choose: scale and worth are the sample's."""


class Grade(ItemJudge[_Config]):
    """Read a grade by the grammar of ``trimtab.text.grades`` and take off metadata ``worth``.

    ``inflation_all`` counts a grade that could not be read as 0; ``grade`` and ``inflation`` are
    unscored there. A sample whose answer's worth is not known has no inflation.
    """

    Config = _Config

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Inflation both ways, the grade, and grades that could not be read."""
        return (
            Metric(name="inflation_all", kind="number", role="effect", higher_is_better=None),
            Metric(name="inflation", kind="number", role="effect", higher_is_better=None),
            Metric(name="grade", kind="fraction", role="effect", higher_is_better=None),
            Metric(name="unread_grade", kind="binary", role="damage", higher_is_better=False),
        )

    def verdict(self, item: Item) -> Verdict:
        """Score an item that has an answer; see the class."""
        whole = item.sample.metadata.get("grade_scale", "binary") == "binary"
        read = parse_grade(item.completion.text or "", GradeScale(whole=whole))
        worth = item.sample.metadata.get("worth")
        known = float(worth) if isinstance(worth, int | float) else None
        both = known is not None and read.value is not None
        values: dict[str, float | None] = {
            "inflation_all": None if known is None else (read.value or 0.0) - known,
            "inflation": (read.value or 0.0) - (known or 0.0) if both else None,
            "grade": read.value,
            "unread_grade": float(read.value is None),
        }
        return Verdict(values, reason=read.form)
