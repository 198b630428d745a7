"""What a run spends on APIs."""

from __future__ import annotations

import os

from trimtab.clients.budget import SPEND, Ledger
from trimtab.core.errors import StoreError
from trimtab.runs.store.run import Run


def ledger_of(run: Run) -> Ledger:
    """Return the ledger of what a run spends on APIs, shared by all its judges and attempts."""
    path = run.dir / SPEND
    if os.path.lexists(path) and not path.is_file():
        raise StoreError(f"{path} is no regular file.", hint="Remove it from the run.")
    return Ledger(path)


def spending(run: Run) -> list[str]:
    """Return the line on what a run spent; none if no judge of it ever asked an API."""
    if not (run.dir / SPEND).is_file():
        return []
    ledger = ledger_of(run)
    cap = ledger.cap()
    of = "no cap of the whole run" if cap is None else f"the cap is {cap:.4f}"
    return [f"spent on APIs: {ledger.spent():.4f} dollars ({of})"]
