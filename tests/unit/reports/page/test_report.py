"""A report leads with the finding of the highest rank, and a terminal shows what belongs to it."""

import pytest

from trimtab.core.spec import Component
from trimtab.reports.data.content import Content
from trimtab.reports.data.run import RunData
from trimtab.reports.draw.tables import Table
from trimtab.reports.page import report as module
from trimtab.reports.page.report import Report
from trimtab.reports.sections.base import Card, Finding, NoConfig, Section


class Nothing(Content):
    """What a section without numbers reads."""


def section(rank, *, alone=False, speaks=True):
    class Made(Section[NoConfig, Nothing]):
        Config = NoConfig

        def read(self, run):
            return Nothing() if speaks else None

        def tables(self, view):
            return []

        def headline(self, view):
            return [Table(f"rank {rank}", "T", (), ())]

        def cards(self, view):
            return [Card(f"card {rank}", 1, "d")]

        def finding(self, view):
            return None if rank is None else Finding(rank, f"Rank {rank}.")

    Made.alone = alone
    return Made


@pytest.fixture
def report(build, monkeypatch):
    """Return the report of sections that are given as classes."""
    run = RunData(build(measures=("heldout",)))

    def read(**classes):
        folder = type("Folder", (), {"build": lambda self, name, _: classes[name](NoConfig())})()
        monkeypatch.setattr(module, "SECTIONS", folder)
        return Report(run, [Component(name=name) for name in classes])

    return read


def test_the_finding_of_the_highest_rank_is_the_runs_and_the_first_among_equals(report):
    made = report(a=section(None), b=section(10), c=section(30), d=section(30), e=section(20))
    assert made.finding.text == "Rank 30." and made.leading.name == "c"
    assert [card.name for card in made.cards()] == ["card 30"]
    assert len(made.headline()) == 5


def test_a_section_that_is_to_stand_alone_does_so_where_it_leads(report):
    leads = report(a=section(30), b=section(40, alone=True))
    assert [table.name for table in leads.headline()] == ["rank 40"]
    follows = report(a=section(50), b=section(40, alone=True))
    assert [table.name for table in follows.headline()] == ["rank 50", "rank 40"]


def test_a_report_without_a_finding_says_so(report):
    made = report(a=section(None), b=section(99, speaks=False))
    assert made.leading is None and made.cards() == []
    assert made.summary()["finding"] == "No section of this report has a finding."
    assert list(made.summary()["sections"]) == ["a"]
