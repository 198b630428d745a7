"""How far fitted vectors can be trusted, what banks are worth, and why a layer was chosen."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.reports.data.run import RunData
from trimtab.reports.data.source import RunSource
from trimtab.reports.draw.tables import Table
from trimtab.reports.sections.base import NoConfig, Section, View
from trimtab.reports.sections.vectors.content import VectorsContent, read_vectors
from trimtab.reports.sections.vectors.tables import (
    bank_table,
    curve_table,
    layer_table,
    vector_table,
)

__all__ = ["Vectors"]


class Vectors(Section[NoConfig, VectorsContent]):
    """Norms and reliability of each fitted layer, banks by size, scores of candidate layers."""

    Config = NoConfig
    part = "methods"
    order = 110

    def read(self, run: RunData) -> VectorsContent | None:
        """Return what is known of the fits; None for a run without vectors."""
        return read_vectors(run.source)

    def tables(self, view: View[VectorsContent]) -> Sequence[Table]:
        """Return the vectors, the banks and the choice of layers."""
        return _tables(view.content)

    def headline(self, view: View[VectorsContent]) -> Sequence[Table]:
        """Return what banks are worth: by size, and against the law of reliability."""
        return [
            table for table in (bank_table(view.content), curve_table(view.content)) if table.rows
        ]

    def fit_tables(self, run: RunSource) -> Sequence[Table]:
        """Return the same as ``tables``: it needs no answer."""
        content = read_vectors(run)
        return [] if content is None else _tables(content.rounded())


def _tables(content: VectorsContent) -> list[Table]:
    tables = (
        vector_table(content),
        bank_table(content),
        curve_table(content),
        layer_table(content),
    )
    return [table for table in tables if table.rows]
