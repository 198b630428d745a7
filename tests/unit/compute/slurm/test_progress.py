"""When another start is worth it."""

import pytest

from trimtab.compute.slurm.progress import Mark, idle_starts, look, marks, note
from trimtab.core.files import append_synced
from trimtab.runs.store.run import Run


def _marks(*events: tuple[str, int, int]) -> list[Mark]:
    return [
        Mark.model_validate(
            {
                "event": event, "time": 0, "host": "n", "restart": 0, "owed_units": 1,
                "owed_rows": 9 - done, "done_rows": done, "fitted_bytes": size,
            }
        )
        for event, done, size in events
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("events", "idle"),
    [
        ((), 0),
        ((("begin", 0, 0),), 0),
        ((("begin", 0, 0), ("end", 1, 0)), 0),
        ((("begin", 1, 0), ("end", 1, 0)), 1),
        # a training that is killed half way leaves files, and no row
        ((("begin", 1, 10), ("end", 1, 20)), 0),
        # one that SLURM killed noted no end: it counts for neither
        ((("begin", 1, 0), ("begin", 1, 0), ("end", 1, 0)), 1),
        ((("begin", 1, 0), ("end", 1, 0)) * 3, 3),
        ((("begin", 1, 0), ("end", 1, 0)) * 3 + (("begin", 1, 0), ("end", 2, 0)), 0),
    ],
)
def test_starts_that_came_no_further(events: tuple[tuple[str, int, int], ...], idle: int) -> None:
    assert idle_starts(_marks(*events)) == idle


def test_a_torn_line_hides_no_other(small_run: Run) -> None:
    note(small_run.dir, "7", look(small_run, "begin"))
    append_synced(small_run.dir / "slurm" / "progress" / "7.jsonl", b'{"event": "e\n')
    note(small_run.dir, "7", look(small_run, "end", 0))
    assert [mark.event for mark in marks(small_run.dir, "7")] == ["begin", "end"]


def test_all_that_is_planned_counts_as_owed(small_run: Run) -> None:
    mark = look(small_run, "begin")
    # three samples twice and one, and a score of each
    assert (mark.owed_rows, mark.done_rows) == (14, 0)
