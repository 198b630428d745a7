"""A made-up run in memory, with its numbers and its summary."""

import pytest
from reported_run import build_run

from trimtab.reports.data.run import RunData
from trimtab.reports.page.report import summarise


@pytest.fixture(scope="session")
def build():
    return build_run


@pytest.fixture(scope="session")
def data():
    """The default run as sections see it; tests must not change it."""
    return RunData(build_run())


@pytest.fixture(scope="session")
def summary():
    """The summary of the default run; tests must not change it."""
    return summarise(build_run())
