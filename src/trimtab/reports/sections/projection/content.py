"""Projections of a run, typed."""

from __future__ import annotations

from trimtab.reports.data.content import Content
from trimtab.reports.data.directions import Direction
from trimtab.reports.sections.contrasts.content import Rate


class ProjectedOn(Direction):
    """A vector that answers are projected on.

    Attributes:
        measure: The measure.
        metric: Id of the number there.
    """

    measure: str
    metric: str


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
