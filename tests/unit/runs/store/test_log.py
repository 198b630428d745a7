"""Messages reach the console once and the attempt's file completely."""

import logging
import os
import pty
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trimtab.core.errors import StoreError
from trimtab.runs.store.log import log_to, setup

ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "TERM": "xterm"}

TALK = """
import logging, sys
from trimtab.runs.store.log import setup
setup(); setup()
log = logging.getLogger("trimtab.x")
log.debug("hidden"); log.warning("the row [bold]x[/bold] is gone")
sys.exit("rich" in sys.modules)
"""


@pytest.fixture(autouse=True)
def leave_no_handler() -> Iterator[None]:
    logger = logging.getLogger("trimtab")
    before, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:] = before
    logger.setLevel(level)


def test_a_pipe_gets_plain_lines_once_and_no_rich() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TALK], env=ENV, capture_output=True, text=True, check=True
    )
    assert done.stderr == "WARNING the row [bold]x[/bold] is gone\n"
    assert done.stdout == ""


def test_a_terminal_gets_rich_lines_without_markup() -> None:
    main, side = pty.openpty()
    code = subprocess.run([sys.executable, "-c", TALK], env=ENV, stderr=side, check=False)
    os.close(side)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", os.read(main, 4096).decode())
    os.close(main)
    assert code.returncode == 1  # rich was imported
    assert shown.count("[bold]x[/bold]") == 1
    assert "hidden" not in shown


def test_the_file_gets_everything_while_it_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Half a surrogate in what pytest captures can't be sent from one test process to another;
    # pytest looks for loggers that don't propagate before the test's body runs.
    monkeypatch.setattr(logging.getLogger("trimtab"), "propagate", False)
    setup(logging.ERROR)
    path = tmp_path / "log.txt"
    log = logging.getLogger("trimtab.engine")
    for text in ("first é \ud800", "second"):
        with log_to(path):
            log.debug(text)
        log.error("outside")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line.partition(" ")[2] for line in lines] == [
        "DEBUG trimtab.engine: first é \\ud800",
        "DEBUG trimtab.engine: second",
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", lines[0].split()[0])


def test_a_full_disk_does_not_flood_the_screen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with log_to(tmp_path / "log.txt"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        try:
            logging.getLogger("trimtab.x").warning("lost")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "Traceback" not in capsys.readouterr().err


def test_a_log_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="can't be opened"), log_to(tmp_path / "no" / "log.txt"):
        pass
