"""``status`` tells what is done from what has not begun, and counts all that is planned."""

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from trimtab.core.errors import StoreError
from trimtab.core.types import Completion, Score
from trimtab.runs.store.claims import claim
from trimtab.runs.store.log import log_to
from trimtab.runs.store.run import Run
from trimtab.runs.work.standing import standing, tallies
from trimtab.runs.work.units import units


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


def test_each_owed_unit_is_told_with_what_it_waits_for(
    tmp_path: Path, parts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run.create(tmp_path / "run", **parts)
    first = units(run, ("generate",))[0].name
    assert standing(run) == [
        "waiting: score exact, 1 unit waits, the first for 7 completions",
        "ready: generate, 2 units that no worker has taken yet",
    ]
    for _ in range(2):
        with claim(run.dir, first):
            lines = standing(run)
    assert lines[0].startswith(f"at work: {first}, held by process ")
    assert lines[2:] == ["ready: generate, 1 unit that no worker has taken yet"]
    assert f"free: generate, 1 unit was begun and not finished, {first} 2 times" in standing(run)
    full = os.statvfs_result((4096, 4096, 100, 2, 2, 50, 9, 9, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    assert standing(run)[-1].startswith(f"disk: where {run.dir} lies nothing")


def test_the_error_of_the_newest_attempt_that_had_one_is_told(
    tmp_path: Path, parts: dict[str, Any]
) -> None:
    run = Run.create(tmp_path / "run", **parts)
    for number, error in enumerate((ValueError("old"), StoreError("No space left."), None), 1):
        path = run.dir / "attempts" / f"{number:04d}" / "log.txt"
        path.parent.mkdir(parents=True)
        with log_to(path):
            logger = logging.getLogger("trimtab.test")
            try:
                if error is not None:
                    raise error
                logger.info("stopped: at work")
            except (ValueError, StoreError):
                logger.exception("stopped")
                logger.info("and this")
    told = f"failed last: attempt 2: trimtab.core.errors.StoreError: No space left. ({run.dir}"
    assert standing(run)[-1].startswith(told)
