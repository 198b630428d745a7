"""``status`` tells what is done from what has not begun, and counts all that is planned."""

from pathlib import Path
from typing import Any

from trimtab.core.types import Completion, Score
from trimtab.runs.store.run import Run
from trimtab.runs.work.standing import tallies


def test_a_phase_that_has_not_begun_is_not_done(tmp_path: Path, parts: dict[str, Any]) -> None:
    run = Run.create(tmp_path / "run", **parts)

    def said() -> list[tuple[str, str, int, int]]:
        return [(tally.phase, tally.state, tally.done, tally.owed) for tally in tallies(run)]

    assert said() == [
        ("fit", "nothing to do", 0, 0),
        ("generate", "not yet", 0, 7),
        ("score exact-1", "not yet", 0, 7),
    ]
    row = Completion(
        cell="cell-2", sample_id="b", protocol="p", num_prompt_tokens=1, finish_reason="eos"
    )
    with run.completion_writer(1, "cell-2") as writer:
        writer.append([row])
    assert said()[1:] == [("generate", "half way", 1, 6), ("score exact-1", "not yet", 0, 7)]
    for cell in run.plan.cells:
        for id, index in run.owed(cell):
            own = row.model_copy(update={"cell": cell.key, "sample_id": id, "index": index})
            with run.completion_writer(2, cell.key) as writer:
                writer.append([own])
        for key in run.completions(cell.key):
            score = Score(cell=key[0], sample_id=key[1], index=key[2], judge="exact-1", values={})
            with run.score_writer(2, "exact-1", cell.key) as writer:
                writer.append([score])
    assert said()[1:] == [("generate", "done", 7, 0), ("score exact-1", "done", 7, 0)]
