"""The table counts what instances say, and the finding promises no more than was seen."""

import json
from pathlib import Path

from trimtab.compute.chaos.campaign import Instance
from trimtab.compute.chaos.comparison import Losses
from trimtab.compute.chaos.results import COLUMNS, Results


def _results(*instances: Instance) -> Results:
    results = Results("a toy", "local", 0, 12, 3.0, {"disk": "no room"})
    results.instances += instances
    return results


def _held(fault: str = "kill", hits: int = 1, left: int | None = 0) -> Instance:
    return Instance(fault, 0, 2, hits, Losses(), left, ())


def test_every_loss_is_counted_in_its_own_column(tmp_path: Path) -> None:
    row = ("completions/c", "q", 0)
    losses = Losses((row, row), (row,), (row, row, row), ("artifacts/a",), "the summary differs")
    results = _results(_held(), Instance("kill", 1, 1, 1, losses, 2, ("exit code 1: x",)))
    assert results.table() == [("kill", "2", "3", "2", "2", "1", "3", "1", "1", "2", "1")]
    assert len(results.failed()) == 1
    assert results.finding() == "1 of 2 runs did not hold."
    results.write(tmp_path)
    found = json.loads((tmp_path / "chaos.json").read_text())
    assert found["faults"]["kill"]["rows_lost"] == 2
    assert len(found["instances"][1]["losses"]["lost"]) == 2
    page = (tmp_path / "chaos.md").read_text()
    assert f"| {' | '.join(COLUMNS)} |" in page and "not played: disk: no room." in page
    assert "- kill 1: left over: 2" in page


def test_what_lives_on_or_ends_badly_does_not_hold() -> None:
    for bad in (_held(left=1), Instance("kill", 0, 1, 1, Losses(), 0, ("a traceback",))):
        assert _results(bad).failed() == [bad]


def test_the_finding_says_what_could_have_been_found() -> None:
    assert "nothing was shown" in _results(_held(hits=0), _held(hits=0)).finding()
    said = _results(*[_held() for _ in range(20)], _held(hits=0)).finding()
    assert "20 faults hit 20 of 21 runs with 12 rows each" in said
    assert "more than 14% of the runs" in said  # 0.86 ** 20 = 0.05


def test_processes_that_nobody_can_see_are_not_none() -> None:
    table = _results(_held(), _held(left=None)).table()
    assert table[0][COLUMNS.index("left over")] == "not known"
