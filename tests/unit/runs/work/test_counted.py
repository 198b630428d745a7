"""A run that is counted by lines is as far as one of which every key is read."""

from pathlib import Path
from typing import Any

from trimtab.core.types import Completion, Score
from trimtab.runs.store.run import Run
from trimtab.runs.work.counted import LARGE_BYTES, Counted, is_large
from trimtab.runs.work.standing import tallies


def test_counts_are_those_of_the_keys(tmp_path: Path, parts: dict[str, Any]) -> None:
    run = Run.create(tmp_path / "run", **parts)
    assert list(Counted(run).tallies()) == list(tallies(run))
    for cell in run.plan.cells:
        rows = [
            Completion(cell=cell.key, sample_id=id, index=index, protocol="p",
                       num_prompt_tokens=1, text="line\nfeed", finish_reason="eos")
            for id, index in run.owed(cell)[1:]
        ]  # fmt: skip
        with run.completion_writer(1, cell.key) as writer:
            writer.append(rows)
        scores = [
            Score(cell=cell.key, sample_id=row.sample_id, index=row.index, judge="exact-1",
                  values={})
            for row in rows[:1]
        ]  # fmt: skip
        with run.score_writer(1, "exact-1", cell.key) as writer:
            writer.append(scores)
    counted = Counted(run)
    assert list(counted.tallies()) == list(tallies(run))
    assert counted.rows_owed == len(run.plan.cells)
    assert counted.standing() == [f"waiting: score exact, for {len(run.plan.cells)} completions"]


def test_small_runs_are_read(tmp_path: Path, parts: dict[str, Any]) -> None:
    run = Run.create(tmp_path / "run", **parts)
    assert not is_large(run)
    folder = run.dir / "completions" / run.plan.cells[0].key
    folder.mkdir(parents=True)
    with (folder / "a0001-00000000.jsonl").open("wb") as file:
        file.truncate(LARGE_BYTES + 1)
    assert is_large(run)
