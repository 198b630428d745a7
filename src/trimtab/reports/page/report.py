"""A whole report: the sections that have something to say, read once, and what they say together.

Nothing here knows a section by its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trimtab.core.plan import Plan
from trimtab.core.spec import Component, Spec
from trimtab.reports.data.content import Content
from trimtab.reports.data.run import RunData
from trimtab.reports.data.source import Making, RunSource
from trimtab.reports.data.statistics import CONFIDENCE
from trimtab.reports.draw.figures import Figure
from trimtab.reports.draw.tables import Table
from trimtab.reports.sections.base import (
    SECTIONS,
    Card,
    File,
    Finding,
    Part,
    Section,
    View,
    all_sections,
)

VERSION = 4
_SILENT = Finding(-1, "No section of this report has a finding.")


@dataclass(frozen=True)
class Member:
    """A section that has something to say.

    Attributes:
        name: Its name in the folder of sections.
        section: The section.
        view: What it read.
    """

    name: str
    section: Section[Spec, Content]
    view: View[Content]


class Report:
    """What a run's sections say.

    Attributes:
        run: The run.
        members: The sections that have something to say, in the order of the report.
        finding: The finding of the highest rank; the first one among equals.
        leading: The section that has it; None if none has any.
    """

    def __init__(self, run: RunData, sections: Sequence[Component]) -> None:
        """Read every section; raise ConfigError for one that does not exist."""
        self.run = run
        self.members = list(_members(run, sections))
        self.leading: Member | None = None
        self.finding = _SILENT
        for member in self.members:
            finding = member.section.finding(member.view)
            if finding is not None and finding.rank > self.finding.rank:
                self.leading, self.finding = member, finding

    def tables(self, part: Part) -> list[Table]:
        """Return the tables of one part of the report."""
        return [
            table
            for member in self.members
            if member.section.part == part
            for table in member.section.tables(member.view)
        ]

    def figures(self) -> list[Figure]:
        """Return every figure."""
        return [figure for member in self.members for figure in member.section.figures(member.view)]

    def files(self) -> dict[str, File]:
        """Return every further file by its path below ``report/``."""
        return {
            f"{member.name}/{file.name}": file
            for member in self.members
            for file in member.section.files(member.view)
        }

    def cards(self) -> list[Card]:
        """Return the cards of the section whose finding is the run's."""
        if self.leading is None:
            return []
        return list(self.leading.section.cards(self.leading.view))

    def headline(self) -> list[Table]:
        """Return the tables that a terminal shows after a run."""
        leading = self.leading
        alone = leading is not None and leading.section.alone
        return [
            table
            for member in self.members
            if not alone or member is leading
            for table in member.section.headline(member.view)
        ]

    def terms(self) -> list[tuple[str, str]]:
        """Return the words that need explaining, each with its meaning."""
        return [term for member in self.members for term in member.section.terms]

    def summary(self) -> dict[str, Any]:
        """Return the content of ``summary.json``.

        It holds no time, path or attempt, and floats are rounded to 10 significant digits: equal
        records give equal bytes. A condition without a value has None, never 0.

        Returns:
            ``conditions``, ``measures`` and ``families``: what sections share, see
            ``data.numbers``. ``headline``: the measure and metric that the report leads with.
            ``sections``: the content of each section that has numbers of its own. ``finding``: the
            run's main result in words.
        """
        run, plan = self.run, self.run.plan
        measure, metric = run.headline or (None, None)
        return {
            "version": VERSION,
            "recipe": plan.recipe,
            "name": plan.name,
            "seed": plan.seed,
            "confidence": CONFIDENCE,
            "baseline": plan.baseline,
            "models": sorted({cell.model.id for cell in plan.cells}),
            "headline": {"measure": measure, "metric": None if metric is None else metric.id},
            **run.shown.to_data(),
            "sections": {m.name: m.view.content.to_data() for m in self.members if m.section.kept},
            "finding": self.finding.text,
        }


def read_report(source: RunSource, making: Making | None = None) -> Report:
    """Return the report of a run, in whatever state it is."""
    return Report(RunData(source, making), chosen_sections(source.plan))


def chosen_sections(plan: Plan) -> Sequence[Component]:
    """Return the sections that the plan names, in its order; every one if it names none."""
    return all_sections() if plan.sections is None else plan.sections


def summarise(source: RunSource) -> dict[str, Any]:
    """Return the content of a run's ``summary.json``: a pure function of the run's records."""
    return read_report(source).summary()


def to_json(summary: Mapping[str, Any]) -> str:
    """Return the text of ``summary.json``."""
    return json.dumps(summary, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _members(run: RunData, sections: Sequence[Component]) -> Iterator[Member]:
    for component in sections:
        section = SECTIONS.build(component.name, component.config)
        content = section.read(run)
        if content is not None:
            yield Member(component.name, section, View(content.rounded(), run))
