"""A run of small parts, and SLURM's commands as files that say what a test wants."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from small_run import make_parts

from trimtab.runs.store.run import Run


@pytest.fixture
def small_run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", **make_parts())


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a command print something and end with a code; those that are not named are absent."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def make(command: str, out: str = "", err: str = "", code: int = 0) -> None:
        (folder / f"{command}.out").write_text(out)
        (folder / f"{command}.err").write_text(err)
        path = folder / command
        path.write_text(
            f"#!/bin/sh\n/bin/cat '{path}.out'\n/bin/cat '{path}.err' >&2\nexit {code}\n"
        )
        os.chmod(path, 0o755)

    return make
