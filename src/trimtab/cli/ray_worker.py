"""What an actor of Ray is: it opens a run, holds a model, and does units by their names."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.compute.ray.answers import Answer
from trimtab.core import stopping
from trimtab.core.errors import ConfigError, MemoryShortError, TrimtabError, is_out_of_memory
from trimtab.runs.store import manifest
from trimtab.runs.usage.progress import Silent

if TYPE_CHECKING:
    from trimtab.runs.work.single import Done, UnitWorker

_log = logging.getLogger(__name__)


class RayWorker:
    """Made in a process of its own, in which nothing computes yet: threads are chosen here."""

    def __init__(self, run_dir: str, environment: Mapping[str, str], source: str | None) -> None:
        """Take what was asked; open nothing, as errors are answers.

        Args:
            run_dir: The run, under the path that it has on every machine.
            environment: Variables; Ray's own choice of threads, which is one, is no user's.
            source: Hash of the code that is to do it; None is any.
        """
        os.environ.update(environment)
        self._run_dir, self._source = run_dir, source
        self._hand = threading.Lock()
        self._opened = ExitStack()
        self._units: UnitWorker | None = None
        self._notes = _Notes()

    def look(self) -> Answer:
        """Open the run, and answer whether that is possible."""
        return self._answer(None)

    def do(self, unit: str) -> Answer:
        """Do a unit."""
        return self._answer(unit)

    def stop(self) -> None:
        """End after the row in hand, give back its claim, and note what was used."""
        stopping.ask()
        with self._hand:
            self._opened.close()

    def _answer(self, unit: str | None) -> Answer:
        with self._hand:
            try:
                stopping.again()
                worker = self._open()
                answer = Answer("done") if unit is None else _told(worker.do(unit))
            except KeyboardInterrupt:
                answer = Answer("stopped")
            except Exception as error:
                answer = _failure(error)
            return Answer(answer.how, answer.line, answer.code, self._notes.taken())

    def _open(self) -> UnitWorker:
        if self._units is not None:
            return self._units
        from trimtab.cli import phases

        if self._source not in (None, manifest.code()["source"]):
            raise ConfigError(
                f"A worker's code is not that of this command (source {manifest.code()['source']}, "
                f"not {self._source}).",
                hint="Install the same version on every node; or `--other-code`, if that can't "
                "matter.",
            )
        again = ["submit", self._run_dir, "--on", "ray"]
        sys.argv = ["trimtab", *again]  # what the attempt is recorded with
        run = phases.open_run(Path(self._run_dir), trusted=True)
        opened = phases.units_of(run, " ".join(sys.argv), self._notes)
        self._units = self._opened.enter_context(opened)
        return self._units


def _told(done: Done) -> Answer:
    if done.held is not None:
        return Answer("held", done.held)
    if done.failed is not None:
        return Answer("judge" if done.judge else "unanswered", done.failed)
    return Answer("done")


def _failure(error: Exception) -> Answer:
    if stopping.received() is not None:  # whatever a library made of it
        return Answer("stopped")
    _log.error("a unit failed", exc_info=error)
    if is_out_of_memory(error):
        return Answer("memory", str(error) or type(error).__name__, MemoryShortError.exit_code)
    if isinstance(error, TrimtabError):
        return Answer("failed", str(error), error.exit_code)
    said = f"{type(error).__name__}: {error}"[:300]
    return Answer("failed", f"unforeseen {said} (the log of the worker's attempt has more)", 1)


class _Notes(Silent):
    """Keeps remarks until they are taken."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def note(self, line: str) -> None:
        """Keep a line."""
        self._lines.append(line)

    def taken(self) -> tuple[str, ...]:
        """Return the lines, which are then gone."""
        lines, self._lines = tuple(self._lines), []
        return lines
