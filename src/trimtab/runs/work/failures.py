"""Judges that failed, and what they owe: the others go on, and the end tells all of it."""

from __future__ import annotations

from pathlib import Path

from trimtab.core.errors import (
    JudgeError,
    JudgeMemoryError,
    TrimtabError,
    UnansweredError,
    is_out_of_memory,
)
from trimtab.core.secrets import redact
from trimtab.runs.work.units import ScoreUnit, Unit


class Failures:
    """What failed in one piece of work on several runs.

    A judge that fails is skipped with all its windows. One that works and has no answer to some
    items of a window owes that window, and scores the others.
    """

    def __init__(self) -> None:
        """Nothing has failed."""
        self._what: dict[tuple[Path, str], str] = {}
        self._skipped: set[tuple[Path, str]] = set()
        self._num_windows: dict[tuple[Path, str], int] = {}
        self._short = False

    def skip(self, folder: Path, unit: Unit) -> bool:
        """Return whether a unit is not to be tried again in this piece of work."""
        return bool({(folder, owner_of(unit)), (folder, unit.name)} & self._skipped)

    def skips_judge(self, folder: Path, unit: Unit) -> bool:
        """Return whether the judge of a unit is not to be tried again, with any window."""
        return (folder, owner_of(unit)) in self._skipped

    def any_in(self, folder: Path) -> bool:
        """Return whether anything failed in the run of ``folder``."""
        return any(where == folder for where, _ in self._what)

    def add(self, folder: Path, unit: Unit, error: Exception) -> str:
        """Take note of a failure and return a line about it."""
        owner = owner_of(unit)
        what = redact(str(error) if isinstance(error, TrimtabError) else repr(error))
        self._what[folder, owner] = what
        self._num_windows[folder, owner] = self._num_windows.get((folder, owner), 0) + 1
        self._short |= is_out_of_memory(error)
        if isinstance(error, UnansweredError):
            self._skipped.add((folder, unit.name))
            return f"The judge {owner} goes on without an answer to some: {what}"
        self._skipped.add((folder, owner))
        return f"The judge {owner} failed and is skipped: {what}"

    def require_none(self) -> None:
        """Raise JudgeError if anything failed, JudgeMemoryError if memory was short for any."""
        if self._what:
            folders = " ".join(dict.fromkeys(str(folder) for folder, _ in self._what))
            raise (JudgeMemoryError if self._short else JudgeError)(
                "Memory was short. " * self._short
                + "Judges failed, and their scores are owed: "
                + "; ".join(map(self._told, self._what)),
                hint=f"Nothing else is lost. Run `trimtab score {folders}` when the cause is "
                "mended.",
            )

    def _told(self, at: tuple[Path, str]) -> str:
        count = self._num_windows[at]
        return f"{at[1]}: {self._what[at]}{f' (the last of {count} windows)' * (count > 1)}"


def owner_of(unit: Unit) -> str:
    """Return what fails as one: a judge with all its windows, a fit, a window."""
    return unit.judge.key if isinstance(unit, ScoreUnit) else unit.name
