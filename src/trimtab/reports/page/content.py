"""What stands on a page, whatever it is written as."""

from __future__ import annotations

from dataclasses import dataclass

from trimtab.core.report import Check
from trimtab.reports.draw.figures import Figure
from trimtab.reports.draw.tables import Table
from trimtab.reports.page.glossary import GLOSSARY
from trimtab.reports.sections.base import Card


@dataclass(frozen=True)
class Page:
    """The parts of a report in reading order.

    Attributes:
        name: Name of the experiment.
        recipe: Its recipe.
        seed: Seed of the statistics.
        models: The models whose answers these are.
        finding: The run's main result, in sentences.
        cards: The few numbers that a reader wants first.
        checks: The honesty checks.
        notices: Lines that stand below them.
        results: Tables of results, those for machines among them.
        methods: Tables of how numbers were made.
        closing: Tables of how records were made.
        figures: Figures that were drawn.
        terms: Words of the sections that need explaining, each with its meaning.
        files: Further files, by their paths below ``report/``, each with what it holds.
    """

    name: str
    recipe: str
    seed: int
    models: tuple[str, ...]
    finding: str
    cards: tuple[Card, ...] = ()
    checks: tuple[Check, ...] = ()
    notices: tuple[str, ...] = ()
    results: tuple[Table, ...] = ()
    methods: tuple[Table, ...] = ()
    closing: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()

    @property
    def shown(self) -> list[Table]:
        """The tables of results that a page shows, open or folded."""
        return [table for table in self.results if table.display != "file" and table.rows]

    @property
    def glossary(self) -> tuple[tuple[str, str], ...]:
        """Every word of this page that needs explaining, with its meaning.

        Of a term that names several words (``read / all``) one is enough.
        """
        texts = [self.finding, *(figure.caption for figure in self.figures)]
        for table in (*self.shown, *self.methods):
            texts += [table.title, *table.columns, table.note]
            texts += [cell for line in table.texts for cell in line]
        said = "\n".join(texts).casefold()
        used = [
            (term, meaning)
            for term, meaning in self.terms
            if any(word.casefold() in said for word in term.split(" / "))
        ]
        return (*GLOSSARY, *used)
