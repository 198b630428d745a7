"""A search for a configuration: its winner on select, confirm and test, and every trial."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.reports.data.run import RunData
from trimtab.reports.draw.figures import Figure
from trimtab.reports.draw.tables import Table
from trimtab.reports.sections.base import File, Finding, NoConfig, Section, View
from trimtab.reports.sections.search.content import SearchContent
from trimtab.reports.sections.search.coordinates import coordinates_figure
from trimtab.reports.sections.search.figures import history_figure, importance_figure, slice_figure
from trimtab.reports.sections.search.files import search_files
from trimtab.reports.sections.search.finding import sentence
from trimtab.reports.sections.search.front import front_figure
from trimtab.reports.sections.search.reading import read_search
from trimtab.reports.sections.search.tables import confirmed_table, trials_file, trials_table

__all__ = ["Search"]


class Search(Section[NoConfig, SearchContent]):
    """What was tried, what was chosen, and how much of its gain was luck."""

    Config = NoConfig
    order = 15
    terms = (
        ("select", "Problems that trials answered; configurations were chosen by these numbers."),
        ("confirm", "Problems that no trial saw; the best configurations are compared again here."),
    )

    def read(self, run: RunData) -> SearchContent | None:
        """Return the search; None for a run without trials."""
        return read_search(run)

    def tables(self, view: View[SearchContent]) -> Sequence[Table]:
        """Return what was confirmed, and every trial."""
        confirmed = [confirmed_table(view.content)] if view.content.confirmed else []
        return [*confirmed, trials_table(view.content), trials_file(view.content)]

    def figures(self, view: View[SearchContent]) -> Sequence[Figure]:
        """Return history, Pareto front, slices, parallel coordinates and importance."""
        content = view.content
        return [
            *history_figure(content),
            *front_figure(content),
            *slice_figure(content),
            *coordinates_figure(content),
            *importance_figure(content),
        ]

    def files(self, view: View[SearchContent]) -> Sequence[File]:
        """Return results, the winner as an experiment, and the study."""
        return list(search_files(view))

    def finding(self, view: View[SearchContent]) -> Finding:
        """Return whether the winner is one."""
        return Finding(50, sentence(view.content))

    def headline(self, view: View[SearchContent]) -> Sequence[Table]:
        """Return what was confirmed."""
        return [confirmed_table(view.content)] if view.content.confirmed else []
