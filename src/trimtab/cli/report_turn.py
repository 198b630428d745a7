"""Who writes a run's report, where several workers find that nothing is owed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from trimtab.cli.terminal import complain
from trimtab.core import stopping
from trimtab.runs.store.claims import claim
from trimtab.runs.store.run import Run
from trimtab.runs.work.stay import Stay

_POLL_S = 1.0


@contextmanager
def report_turn(run: Run, stay: Stay | None = None) -> Iterator[bool]:
    """Hold the report of a run, after all others who write it; give False if ``stay`` ends first.

    One that was killed while it wrote holds it until its claim lapses: to leave before that would
    leave the run without a report, and a job's exit code would say that all is done.

    Raises:
        Stopped: A signal came meanwhile.
    """
    told = False
    while True:
        with claim(run.dir, "report") as mine:
            if mine is not None:
                yield True
                return
        stopping.again()
        if stay is not None and stay.end is not None:
            yield False
            return
        if not told:
            complain("Another worker writes the report; this one waits until it is there.")
            told = True
        time.sleep(_POLL_S)
