"""How far along a vector answers lie, with a trigger and without, while a model is trained."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.reports.data.run import RunData
from trimtab.reports.draw.figures import Figure
from trimtab.reports.draw.tables import Table
from trimtab.reports.sections.base import NoConfig, Section, View
from trimtab.reports.sections.projection.content import ProjectionContent
from trimtab.reports.sections.projection.figures import projection_figures
from trimtab.reports.sections.projection.reading import read_projections
from trimtab.reports.sections.projection.tables import projection_table, vector_table

__all__ = ["Projection"]


class Projection(Section[NoConfig, ProjectionContent]):
    """Mean projections of the judge ``projection``, by treatment, trigger and update."""

    Config = NoConfig
    order = 17
    terms = (
        (
            "projection",
            "How far the hidden states of an answer lie along a vector, in the unit of the "
            "residual stream.",
        ),
    )

    def read(self, run: RunData) -> ProjectionContent | None:
        """Return the projections; None where none are measured, or no trigger is told apart."""
        return read_projections(run)

    def tables(self, view: View[ProjectionContent]) -> Sequence[Table]:
        """Return every condition, and the vectors."""
        return [projection_table(view.content), vector_table(view.content)]

    def figures(self, view: View[ProjectionContent]) -> Sequence[Figure]:
        """Return projections over the updates of trainings."""
        return projection_figures(view.content)
