"""One section of a run, by its name."""

import pytest

from trimtab.reports.data.run import RunData
from trimtab.reports.sections.base import SECTIONS, View


class Shown:
    """A section of a run with what it read; None if it has nothing to say."""

    def __init__(self, name, run):
        self.section = SECTIONS.build(name, {})
        self.run = run if isinstance(run, RunData) else RunData(run)
        content = self.section.read(self.run)
        self.content = None if content is None else content.rounded()
        self.view = View(self.content, self.run)

    def tables(self):
        return {table.name: table for table in self.section.tables(self.view)}


@pytest.fixture(scope="session")
def show():
    return Shown
