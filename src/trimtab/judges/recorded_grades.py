"""What an imported file of judgements says of each answer; see ``trimtab data``."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from trimtab.core.spec import Metric, Spec
from trimtab.judges._grading import CREDIT, PASS, REFUSAL, REFUSED, readings_of, refusal_of
from trimtab.judges.base import Item, ItemJudge, Verdict

__all__ = ["RecordedGrades"]


class RecordedGradesConfig(Spec):
    """What was given.

    Attributes:
        metric: What the grade is called.
        low: Least grade that could be given.
        high: Greatest.
        passes: Least grade that is a pass; null is none.
        points: Whether grades are points, so that their share of the most is a result.
    """

    metric: str = Field(default="score", pattern=r"^[a-z][a-z0-9_]*$")
    low: float = 0.0
    high: float = 2.0
    passes: float | None = None
    points: bool = False

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if not self.low < self.high:
            raise ValueError("low must be below high")
        return self


class RecordedGrades(ItemJudge[RecordedGradesConfig]):
    """Read grades from the sample's metadata, ``judged``, by the answer's index.

    A grade, a refusal, or neither: what the recorded judge said could not be read, or is off the
    scale. A refusal is no pass and has no points; what could not be read is missing.
    """

    Config = RecordedGradesConfig

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The grade, a pass where something passes, the share of points, and a refusal."""
        config = self.config
        grade = Metric(name=config.metric, kind="number", role="effect")
        found = readings_of(grade, passes=config.passes is not None, points=config.points)
        return (*found, refusal_of(config.metric))

    def verdict(self, item: Item) -> Verdict:
        """Return the recorded grade; what was not recorded is None."""
        listed = item.sample.metadata.get("judged")
        index = item.completion.index
        given: Any = listed[index] if isinstance(listed, list) and index < len(listed) else None
        if given is None:
            return self.unscored("nothing is recorded of this answer")
        value, refused = given["score"], given["refused"]
        if value is None and not refused:
            nothing = self.unscored(given["error"] or "the recorded reply could not be read")
            return Verdict(nothing.values, given["raw"], nothing.error)
        if value is not None and not self.config.low <= value <= self.config.high:
            return self.unscored(f"the recorded grade {value:g} is off the scale")
        values: dict[str, float | None] = {self.config.metric: value}
        if self.config.passes is not None:
            passed = value is not None and value >= self.config.passes
            values[self.config.metric + PASS] = float(passed)
        if self.config.points:
            low, high = self.config.low, self.config.high
            values[self.config.metric + CREDIT] = (
                0.0 if value is None else (value - low) / (high - low)
            )
        values[self.config.metric + REFUSED] = float(refused)
        return Verdict(values, given["raw"], REFUSAL if refused else None)
