"""What is written to a terminal: names and texts of a run are text there, and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from trimtab.core.secrets import redact
from trimtab.text.escapes import one_line, printable

_PIPE_WIDTH = 120


class PlainConsole(Console):
    """A console that takes no text for markup, and shows control characters in it."""

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        """Write to standard output, or to standard error."""
        super().__init__(stderr=stderr, width=width, markup=False, highlight=False, emoji=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield what ``renderable`` becomes; see ``Console.render``."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)


def wide_console() -> PlainConsole:
    """Return a console that is wide enough for tables in a pipe, where there is no terminal."""
    return PlainConsole(width=None if sys.stdout.isatty() else _PIPE_WIDTH)


def say(line: str) -> None:
    """Write one line to standard output, however long."""
    wide_console().print(line, soft_wrap=True)


def complain(line: str) -> None:
    """Write one line to standard error; where nobody reads that, nothing is said."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{one_line(redact(line))}\n")
        sys.stderr.flush()
