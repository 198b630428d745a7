"""Whatever a command raises is one line on standard error, and an exit code."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from trimtab import __version__
from trimtab.cli import failures, main
from trimtab.core.errors import StoreError


def app_that(raises: Callable[[], None]) -> typer.Typer:
    app = typer.Typer(cls=failures.Commands, pretty_exceptions_enable=False)

    @app.command()
    def go() -> None:
        raises()

    @app.command()
    def other() -> None:
        pass

    return app


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Return a function that runs a command which raises; it gives exit code and what was said."""
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("sys.argv", ["trimtab", "go"])

    def run(error: BaseException) -> tuple[int, str]:
        def raises() -> None:
            raise error

        code = failures.run(app_that(raises))
        return code, capsys.readouterr().err

    return run


def test_an_error_of_ours_is_its_line(ends) -> None:
    assert ends(StoreError("a\nb\x1b[31m is full.", hint="Free it.")) == (
        6,
        "error: a b\\x1b[31m is full. Free it.\n",
    )


@pytest.mark.parametrize(
    "error",
    [ValueError("odd\nnews"), KeyError("x"), RecursionError(), OSError(5000, "odd")],
)
def test_what_nobody_foresaw_is_a_line_and_a_file_with_the_traceback(ends, tmp_path, error) -> None:
    code, said = ends(error)
    assert code == 1
    assert said.startswith(f"error: unforeseen {type(error).__name__}") and said.count("\n") == 1
    (log,) = (tmp_path / "home" / "crashes").iterdir()
    assert str(log) in said
    assert "Traceback" in log.read_text() and "in raises" in log.read_text()


@pytest.mark.parametrize("error", [OSError(28, "full", "/a/b"), OSError(30, "read-only")])
def test_what_the_system_refuses_is_a_line_with_the_file(ends, tmp_path, error) -> None:
    code, said = ends(error)
    assert code == 6 and error.strerror in said and said.count("\n") == 1
    assert (error.filename or "what a command writes to") in said
    assert not (tmp_path / "home").exists()


def test_a_home_that_is_a_file_does_not_stop_that(ends, tmp_path, monkeypatch) -> None:
    (tmp_path / "home").write_text("")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, said = ends(ValueError("x"))
    assert code == 1 and f"{tmp_path}/trimtab-" in said


def test_ctrl_c_says_how_to_go_on(ends) -> None:
    stop = KeyboardInterrupt()
    stop.add_note("Go on with: trimtab resume here")
    said = "interrupted; nothing finished is lost. Go on with: trimtab resume here\n"
    assert ends(stop) == (130, said)


def test_a_mistake_in_the_command_line_is_a_line(monkeypatch, capsys) -> None:
    for argv, words in (
        (["rum"], "rum"),
        (["resume"], "run_dir"),
        (["resume", "x", "--no-such"], "--no-such"),
    ):
        monkeypatch.setattr("sys.argv", ["trimtab", *argv])
        assert failures.run(main.app) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ") and said.count("\n") == 1 and words in said


def test_version_and_short_help(monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["trimtab", "--version"])
    assert failures.run(main.app) == 0
    assert capsys.readouterr().out == f"trimtab {__version__}\n"
    monkeypatch.setattr("sys.argv", ["trimtab", "resume", "-h"])
    assert failures.run(main.app) == 0
    assert "--trust" in capsys.readouterr().out


PIPES = """
import sys
import typer
from trimtab.cli import failures

app = typer.Typer(cls=failures.Commands, pretty_exceptions_enable=False)

@app.command()
def go() -> None:
    raise BrokenPipeError(32, "Broken pipe")

@app.command()
def other() -> None:
    pass

sys.argv = ["trimtab", "go"]
sys.exit(failures.run(app))
"""


def test_a_pipe_that_breaks_is_silent_only_where_nobody_reads_what_is_printed(tmp_path) -> None:
    own = {**os.environ, "TRIMTAB_HOME": str(tmp_path)}
    argv = [sys.executable, "-c", PIPES]
    read = subprocess.run(argv, capture_output=True, text=True, env=own)
    assert read.returncode == 1 and "error: unforeseen RuntimeError: a pipe to" in read.stderr
    reader, writer = os.pipe()
    os.close(reader)
    unread = subprocess.run(argv, stdout=writer, stderr=subprocess.PIPE, text=True, env=own)
    os.close(writer)
    assert (unread.returncode, unread.stderr) == (1, "")
