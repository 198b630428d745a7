"""How a plan grew is told where it did, and nothing is told where it did not."""

from trimtab.core.plan import Fragment, Plan
from trimtab.reports.data.run import RunData
from trimtab.reports.sections.base import SECTIONS, View


class Source:
    """A run of which nothing but its plan is read."""

    def __init__(self, *reasons: str) -> None:
        fragments = tuple(Fragment(number=i, reason=why) for i, why in enumerate(reasons))
        self.plan = Plan(recipe="r", name="n", fragments=fragments)


def test_each_fragment_has_a_row_with_its_reason() -> None:
    section = SECTIONS.build("growth", {})
    run = RunData(Source("as configured", "strength 2", "strength 3"))
    content = section.read(run)
    (table,) = section.tables(View(content, run))
    assert [row[:2] for row in table.rows] == [
        ("0", "as configured"),
        ("1", "strength 2"),
        ("2", "strength 3"),
    ]
    assert section.read(RunData(Source("as configured"))) is None
