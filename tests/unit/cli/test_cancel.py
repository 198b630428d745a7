"""Whoever works for a run is ended: SLURM's jobs, too, where a driver of Ray can't be seen."""

from pathlib import Path

import pytest

from trimtab.cli import jobs
from trimtab.cli.job_commands import cancel
from trimtab.compute.ray import state
from trimtab.compute.slurm import submissions
from trimtab.core.errors import HeldError
from trimtab.runs.store.claims import claim


@pytest.fixture
def cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the runs whose jobs were cancelled; ``tmp_path`` was given to both, long ago."""
    found: list[Path] = []
    monkeypatch.setattr(jobs, "cancel", found.append)
    submissions.new_folder(tmp_path)
    driver = state.begin(tmp_path, "head:6379")
    elsewhere = driver.process.model_copy(update={"host": "another login node"})
    state._write(tmp_path, driver.model_copy(update={"process": elsewhere}))
    return found


def test_a_driver_that_was_killed_elsewhere_is_in_nobodys_way(
    tmp_path: Path, cancelled: list[Path]
) -> None:
    cancel(tmp_path)
    assert cancelled == [tmp_path]
    assert "nobody hands out units" in state.standing(tmp_path, owes=True)[0]


def test_one_that_may_be_at_work_is_told_after_the_jobs_were_cancelled(
    tmp_path: Path, cancelled: list[Path]
) -> None:
    with claim(tmp_path, "submit"), pytest.raises(HeldError, match="another login node"):
        cancel(tmp_path)
    assert cancelled == [tmp_path]
    with claim(tmp_path, "submit"):
        assert "can't be seen from here" in state.standing(tmp_path, owes=True)[0]
