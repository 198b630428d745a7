"""The tables that a terminal shows."""

from __future__ import annotations

from trimtab.reports.data.source import RunSource
from trimtab.reports.draw.tables import Table
from trimtab.reports.page.report import chosen_sections
from trimtab.reports.sections.base import SECTIONS


def fit_tables(run: RunSource) -> list[Table]:
    """Return what is known of the fits as soon as they are done, section by section."""
    return [
        table
        for component in chosen_sections(run.plan)
        for table in SECTIONS.build(component.name, component.config).fit_tables(run)
    ]
