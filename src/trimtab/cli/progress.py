"""Progress bars on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
import time

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from trimtab.cli.terminal import PlainConsole, complain
from trimtab.runs.usage.progress import Progress, Silent

_SECONDS_BETWEEN_LINES = 15.0


class Bars:
    """One bar per phase with rows, tokens per second and the time that remains."""

    def __init__(self) -> None:
        """Draw on standard error."""
        self._bar: RichProgress | None = None
        self._console = PlainConsole(stderr=True)

    def start(self, phase: str, total: int, done: int) -> None:
        """Begin a bar."""
        self._bar = RichProgress(
            TextColumn("{task.description:<16}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._tokens, self._began = 0, time.monotonic()
        self._task = self._bar.add_task(phase, total=total, completed=done, rate="")
        self._bar.start()

    def advance(self, rows: int, tokens: int) -> None:
        """Move the bar."""
        assert self._bar is not None
        self._tokens += tokens
        rate = self._tokens / max(time.monotonic() - self._began, 1e-9)
        shown = f"{rate:,.0f} tokens/s" if self._tokens else ""
        self._bar.update(self._task, advance=rows, rate=shown)

    def note(self, line: str) -> None:
        """Print a line above the bar."""
        self._console.print(line)

    def finish(self) -> None:
        """Leave the bar as it stands."""
        assert self._bar is not None
        self._bar.stop()


class Lines:
    """A line at the start and end of a phase, and one every 15 seconds between."""

    def start(self, phase: str, total: int, done: int) -> None:
        """Say what begins."""
        self._phase, self._total, self._done, self._tokens = phase, total, done, 0
        self._began = self._last = time.monotonic()
        self._say(f"{phase}: {done} of {total} rows are there")

    def advance(self, rows: int, tokens: int) -> None:
        """Count; say so now and then."""
        self._done += rows
        self._tokens += tokens
        if self._done < self._total and time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            self._say(self._line())

    def note(self, line: str) -> None:
        """Print a line."""
        self._say(line)

    def finish(self) -> None:
        """Say how it ended."""
        self._say(self._line())

    def _line(self) -> str:
        seconds = time.monotonic() - self._began
        rate = f", {self._tokens / seconds:,.0f} tokens/s" if self._tokens and seconds > 0 else ""
        return f"{self._phase}: {self._done} of {self._total} rows, {seconds:.0f} s{rate}"

    def _say(self, line: str) -> None:
        complain(line)


class Notes(Silent):
    """Remarks alone: another process draws how far everything is."""

    def note(self, line: str) -> None:
        """Print a line."""
        complain(line)


def make_progress() -> Progress:
    """Return bars for a terminal and lines for anything else."""
    return Bars() if sys.stderr.isatty() else Lines()
