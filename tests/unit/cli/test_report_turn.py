"""Who writes a report waits for another that does: until it has ended, or its claim has lapsed."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from trimtab.cli.report_turn import report_turn
from trimtab.core import stopping

HOLDER = """
import sys, time
from pathlib import Path
from trimtab.runs.store.claims import claim
with claim(Path(sys.argv[1]), "report") as mine:
    print("held" if mine is not None else "refused", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@contextmanager
def holder(folder: Path, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Give another process that holds the report."""
    argv = [sys.executable, "-c", HOLDER, str(folder), str(seconds)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_turn_comes_when_the_other_has_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with holder(tmp_path, 2):
        start = time.monotonic()
        with report_turn(SimpleNamespace(dir=tmp_path)):
            assert time.monotonic() - start > 1
    assert "this one waits" in capsys.readouterr().err


def test_the_turn_comes_when_the_other_was_killed(tmp_path: Path) -> None:
    with holder(tmp_path, 600) as other:
        other.kill()
        other.wait()
        with report_turn(SimpleNamespace(dir=tmp_path)):
            pass


def test_a_signal_ends_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with holder(tmp_path, 600):
        monkeypatch.setattr(stopping, "_received", [])
        stopping.ask()
        with pytest.raises(stopping.Stopped), report_turn(SimpleNamespace(dir=tmp_path)):
            pass
