"""Ctrl-C and SIGTERM: one line that says how to go on, the same in the log, and nothing lost."""

import os
import signal
import time
from pathlib import Path

import pytest
from cli_process import Command, trimtab

from trimtab.compute.chaos.comparison import num_records


@pytest.mark.parametrize(("by", "words"), [("SIGINT", ""), ("SIGTERM", " by SIGTERM")])
def test_it_says_how_to_go_on_and_resume_does(
    by: str, words: str, config: Path, tmp_path: Path
) -> None:
    run, logs = tmp_path / "run", tmp_path / "logs"
    argv = ["run", str(config), "--out", str(run), "-o", "judges=[text_health]"]
    command = Command(argv, logs)
    while num_records(run) < 12 and command.process.exitcode is None:
        time.sleep(0.01)
    assert command.process.pid is not None
    os.kill(command.process.pid, getattr(signal, by))
    done = command.wait()
    said = f"interrupted{words}; nothing finished is lost. Go on with: trimtab resume {run}"
    assert done.code == 128 + getattr(signal, by) and done.err.splitlines()[-1] == said
    assert "Traceback" not in done.err
    assert f"run: {run}" in done.out and "loading the model" in done.err
    log = (run / "attempts" / "0001" / "log.txt").read_text()
    assert f"interrupted ({by}); `trimtab resume {run}` goes on" in log
    before = num_records(run)
    done = trimtab(["resume", str(run)], logs)
    assert done.code == 0, done.err
    assert num_records(run) > before
    assert trimtab(["verify", str(run)], logs).code == 0
