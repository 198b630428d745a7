"""Lines for a pipe: the start, the end, and one now and then."""

import pytest

from trimtab.cli import progress
from trimtab.cli.progress import Bars, Lines, make_progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the time in seconds that progress sees, to be set by the test."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_phase_tells_its_start_its_end_and_what_is_between_every_15_seconds(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Lines()
    lines.start("generate", total=100, done=40)
    for second in range(1, 61):
        clock[0] = 100.0 + second
        lines.advance(1, 50)
    lines.finish()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "generate: 40 of 100 rows are there",
        "generate: 55 of 100 rows, 15 s, 50 tokens/s",
        "generate: 70 of 100 rows, 30 s, 50 tokens/s",
        "generate: 85 of 100 rows, 45 s, 50 tokens/s",
        "generate: 100 of 100 rows, 60 s, 50 tokens/s",
    ]


def test_a_phase_without_tokens_or_time_has_no_rate(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Lines()
    lines.start("fit", total=1, done=1)
    lines.note("warning: x")
    lines.finish()
    assert capsys.readouterr().err.splitlines() == [
        "fit: 1 of 1 rows are there",
        "warning: x",
        "fit: 1 of 1 rows, 0 s",
    ]


def test_bars_are_for_terminals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal, kind in [(True, Bars), (False, Lines)]:
        monkeypatch.setattr("sys.stderr.isatty", lambda terminal=terminal: terminal)
        assert isinstance(make_progress(), kind)
