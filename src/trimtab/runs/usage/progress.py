"""What a phase tells whoever watches; the command line draws it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives what happens in a phase."""

    def start(self, phase: str, total: int, done: int) -> None:
        """Begin ``phase`` with ``total`` rows, of which ``done`` are there already."""
        ...

    def advance(self, rows: int, tokens: int) -> None:
        """Count finished rows and the tokens they took."""
        ...

    def note(self, line: str) -> None:
        """Say something worth a line."""
        ...

    def finish(self) -> None:
        """End the phase."""
        ...


class Silent:
    """Draws nothing."""

    def start(self, phase: str, total: int, done: int) -> None:
        """Ignore the start of a phase."""

    def advance(self, rows: int, tokens: int) -> None:
        """Ignore finished rows."""

    def note(self, line: str) -> None:
        """Ignore a remark."""

    def finish(self) -> None:
        """Ignore the end of a phase."""
