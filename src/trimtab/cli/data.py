"""``data``: bring in what was made elsewhere."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from trimtab.cli import phases
from trimtab.runs.imported import import_candidates


def import_file(path: Path, out: Path) -> None:
    """Make a run of a file of candidates, score it, and write and print the report."""
    run = import_candidates(path, out)
    phases.run_some(run, "score")
    phases.show_report(run)
    Console().print(f"`trimtab report {out}` writes the report again.", markup=False)
