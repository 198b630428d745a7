"""Which plans have opened which test split on this machine: ``test_opened.jsonl`` at home.

The list lies in ``TRIMTAB_HOME`` (``~/.trimtab``), outside every run. Where it can't be read or
written the check says so, and nothing else suffers.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from trimtab.core.errors import StoreError
from trimtab.core.files import create_or_append, make_dir, read_bytes, write_all
from trimtab.core.home import home
from trimtab.core.keys import content_key
from trimtab.core.report import Check
from trimtab.runs.store.run import Run

NAME = "test split opened once"


def test_opened(run: Run) -> Check:
    """Count the plans that have opened each test set on this machine; more than one is told."""
    tests = sorted({cell.samples for cell in run.plan.cells if cell.split == "test"})
    # by configuration: a plan that grew is the same experiment
    plan = content_key([run.plan.recipe, run.config])
    ledger = home() / "test_opened.jsonl"
    try:
        known = _openings(ledger)
        for samples in tests:
            if (samples, plan) not in known:
                _append(ledger, {"samples": samples, "plan": plan, "name": run.plan.name})
                known.add((samples, plan))
    except (OSError, StoreError) as error:
        what = error.strerror if isinstance(error, OSError) else error.message
        return Check(NAME, "warn", f"not known: {ledger} can't be used ({what})")
    others = {p for samples, p in known if samples in tests and p != plan}
    if not others:
        return Check(NAME, "pass", "no other plan has opened it on this machine")
    count = "1 other plan has" if len(others) == 1 else f"{len(others)} other plans have"
    return Check(NAME, "warn", f"{count} opened this test split on this machine")


def _openings(ledger: Path) -> set[tuple[str, str]]:
    """Return what was noted; a line that a crash tore is none."""
    found = set()
    lines = read_bytes(ledger).split(b"\n") if os.path.lexists(ledger) else []
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            found.add((str(row.get("samples")), str(row.get("plan"))))
    return found


def _append(ledger: Path, row: dict[str, str]) -> None:
    make_dir(ledger.parent)
    fd = create_or_append(ledger)
    try:
        size = os.fstat(fd).st_size
        torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
        write_all(fd, b"\n" * torn + json.dumps(row).encode() + b"\n")
    finally:
        os.close(fd)
