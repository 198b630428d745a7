"""What every section of a report offers.

A section reads the records of a run into a typed model, and shows that model: as tables, figures,
cards, and a sentence that is the run's finding if no other section has a more important one. What
sections share (rows, conditions, estimates, comparisons) is in ``RunData``, computed once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, NamedTuple, TypeVar

from trimtab.core.folder import Folder
from trimtab.core.plan import Plan
from trimtab.core.spec import Component, Spec
from trimtab.reports.data.content import Content
from trimtab.reports.data.run import RunData
from trimtab.reports.data.source import RunSource
from trimtab.reports.draw.figures import Figure
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell

C = TypeVar("C", bound=Spec)
M = TypeVar("M", bound=Content)
Part = Literal["results", "methods", "making"]
PARTS: tuple[Part, ...] = ("results", "methods", "making")


@dataclass(frozen=True)
class Finding:
    """What a run found, as one section sees it.

    Attributes:
        rank: The run's finding is that of the highest rank. The package's own: 40 for a run that is
            about one question and says so (behaviours), 30 for a comparison with the baseline, 20
            for what stands without one, less for the lack of a result.
        text: One or several full sentences.
    """

    rank: int
    text: str


class Card(NamedTuple):
    """One number that a reader wants first.

    Attributes:
        name: What it is.
        value: The number.
        detail: A second number in words, or a word or two.
    """

    name: str
    value: Cell
    detail: str


@dataclass(frozen=True)
class File:
    """A file that a section writes beside its tables and figures.

    Attributes:
        name: Its name, ending included; it is written into ``report/<section>/``.
        text: What it holds.
        about: What that is, for the list of files on the page.
    """

    name: str
    text: str
    about: str


@dataclass(frozen=True)
class View(Generic[M]):
    """What a section shows.

    Attributes:
        content: What it read, as a file holds it: floats of 10 significant digits.
        run: The run; what its numbers are shown as is ``run.shown``.
    """

    content: M
    run: RunData


class NoConfig(Spec):
    """The configuration of a section that has nothing to choose."""


class Section(ABC, Generic[C, M]):
    """One part of a report.

    Attributes:
        Config: Its configuration.
        part: Where its tables stand: among the results, the methods, or at the end, where it is
            told how the records were made.
        order: Its place where the plan doesn't name the sections of the report; lower is earlier.
        kept: Whether its content goes to ``summary.json``. What is not a function of the run's
            plan and records, or is no number, doesn't.
        alone: Whether a terminal shows its tables and no others where its finding is the run's.
        terms: Words of its tables that need explaining, each with its meaning.
    """

    Config: type[C]
    part: ClassVar[Part] = "results"
    order: ClassVar[int] = 100
    kept: ClassVar[bool] = True
    alone: ClassVar[bool] = False
    terms: ClassVar[tuple[tuple[str, str], ...]] = ()

    def __init__(self, config: C) -> None:
        """Keep ``config``."""
        self.config = config

    def require(self, plan: Plan, metrics: Collection[str]) -> None:
        """Raise ConfigError if a setting names a metric or condition that ``plan`` has not.

        Args:
            plan: What is to be done.
            metrics: Names of the metrics that its judges give.
        """

    @abstractmethod
    def read(self, run: RunData) -> M | None:
        """Return what there is to say about ``run``; None if that is nothing.

        It is a pure function of the records: no time, no path, no random number without a seed of
        the plan's (``seed_for``). It reads ``run.numbers``; the methods below are given the
        returned content as a file holds it, and read ``run.shown``.
        """

    @abstractmethod
    def tables(self, view: View[M]) -> Sequence[Table]:
        """Return the tables, in reading order."""

    def figures(self, view: View[M]) -> Sequence[Figure]:
        """Return the figures; nothing is drawn before one is written."""
        return ()

    def files(self, view: View[M]) -> Sequence[File]:
        """Return further files, for machines and other programs; equal views give equal texts."""
        return ()

    def cards(self, view: View[M]) -> Sequence[Card]:
        """Return the few numbers that stand at the top where this section's finding does."""
        return ()

    def finding(self, view: View[M]) -> Finding | None:
        """Return what was found, in sentences; None for a section that only informs."""
        return None

    def headline(self, view: View[M]) -> Sequence[Table]:
        """Return the tables that a terminal shows after a run."""
        return ()

    def families(self, plan: Plan) -> Mapping[str, int]:
        """Return, by measure, how many differences the section will test together.

        Those of treatments to the baseline are known without it. ``trimtab plan`` says from them
        what each measure can find.
        """
        return {}

    def fit_tables(self, run: RunSource) -> Sequence[Table]:
        """Return the tables that a terminal shows when the fits are done, before any answer."""
        return ()


SECTIONS: Folder[Section[Spec, Content]] = Folder("reports/sections", "section")


def all_sections() -> tuple[Component, ...]:
    """Return every section of the package, in its usual order."""
    places = {name: SECTIONS.load(name).order for name in SECTIONS.own_files}
    return tuple(Component(name=name) for name in sorted(places, key=lambda n: (places[n], n)))
