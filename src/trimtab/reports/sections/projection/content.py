"""Projections of a run, typed."""

from __future__ import annotations

from trimtab.reports.data.content import Content
from trimtab.reports.sections.contrasts.content import Rate


class ProjectedOn(Content):
    """A vector that answers are projected on.

    Attributes:
        measure: The measure.
        metric: Id of the number there.
        layer: 0-based block whose states are read.
        vector_norm: Length of the vector as fitted; None of one from a file.
        positive: Mean projection of the positive answers of its contrast pairs, read by the base.
        negative: The same of the negative ones.
        population_cosine: See ``Reliability`` of the section ``vectors``.
    """

    measure: str
    metric: str
    layer: int
    vector_norm: float | None
    positive: float | None
    negative: float | None
    population_cosine: float | None

    def share(self, value: float | None) -> float | None:
        """Return where a projection lies between the negative (0) and positive (1) answers."""
        if value is None or self.positive is None or self.negative is None:
            return None
        between = self.positive - self.negative
        return None if between == 0 else (value - self.negative) / between


class ProjectionContent(Content):
    """Everything, in plan order.

    Attributes:
        base: The treatment that is none.
        untriggered: The trigger that is none.
        vectors: What is projected on.
        rates: Mean projection of every condition, over questions and seeds.
    """

    base: str
    untriggered: str
    vectors: tuple[ProjectedOn, ...]
    rates: tuple[Rate, ...]

    def on(self, vector: ProjectedOn) -> list[Rate]:
        """Return the projections on one of the vectors."""
        wanted = (vector.measure, vector.metric)
        return [rate for rate in self.rates if (rate.measure, rate.metric) == wanted]

    def panel(self, vector: ProjectedOn) -> str:
        """Return what a panel of projections on a vector is called."""
        several = len({other.measure for other in self.vectors}) > 1
        return f"{vector.metric}, {vector.measure}" if several else vector.metric


STEP = "step"
"""The coordinate that counts the updates of a training."""
