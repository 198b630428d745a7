"""What of a run's artifacts and rows is there and finite: said only of what was looked at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.core.errors import StoreError
from trimtab.core.files import read_bytes
from trimtab.core.lazy import lazy
from trimtab.core.report import Check, Status
from trimtab.runs.store import artifacts
from trimtab.runs.store.run import Run

if TYPE_CHECKING:
    import numpy as np
    import safetensors
else:
    np = lazy("numpy")
    safetensors = lazy("safetensors")

ROWS = "all rows present and finite"
_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
# The exponent of a bfloat16, all of it set in NaN and infinity.
_BF16_EXPONENT = 0x7F80


def artifacts_finite(run: Run) -> list[Check]:
    """Look at every artifact of data; none where the plan has none."""
    keys = [key for fit in run.plan.fits if not fit.completions for key in fit.artifacts.values()]
    if not keys:
        return []
    there = [key for key in keys if run.has_artifact(key)]
    bad = [f"{key}: {what}" for key in there for what in [_fault(run.artifact_dir(key))] if what]
    detail = f"{len(there)} of {len(keys)} artifacts fitted"
    if there:
        detail += ", all finite" if not bad else f", {len(bad)} faulty ({bad[0]})"
    if len(there) < len(keys):
        detail += f"; {len(keys) - len(there)} are not there"
    status: Status = "fail" if bad or len(there) < len(keys) else "pass"
    return [Check("artifacts finite", status, detail)]


def rows_finite(run: Run) -> Check:
    """Count the rows that are there, and look at every number in them."""
    tallies = [run.tally_completions(cell.key) for cell in run.plan.cells]
    planned = sum(len(run.samples(cell.samples)) * cell.num_samples for cell in run.plan.cells)
    rows, errors = sum(tally.rows for tally in tallies), sum(tally.errors for tally in tallies)
    bad = sum(tally.non_finite for tally in tallies)
    missing = planned - rows
    status: Status = "fail" if missing or bad else "warn" if errors else "pass"
    said = f"{bad} with NaN or infinity" if bad else "all finite" if rows else "none to look at"
    detail = f"{rows} of {planned} rows, {said}; {errors} with errors"
    return Check(ROWS, status, detail)


def _fault(folder: Path) -> str | None:
    """Return what is wrong with an artifact, in a few words; None if it is whole and finite."""
    try:
        artifacts.check(folder)
        for path in sorted(folder.glob("*.safetensors")):
            for name, tensor in safetensors.deserialize(read_bytes(path)):  # type: ignore[no-untyped-call]
                if not _is_finite(tensor):
                    return f"{name} of {path.name} holds NaN or infinity"
    except StoreError:
        return "changed since it was fitted, or unreadable"
    except safetensors.SafetensorError as error:
        return f"no whole safetensors file: {error}"
    return None


def _is_finite(tensor: dict[str, Any]) -> bool:
    if tensor["dtype"] == "BF16":
        bits = np.frombuffer(tensor["data"], "<u2")
        return not bool(np.any((bits & _BF16_EXPONENT) == _BF16_EXPONENT))
    form = _FLOATS.get(tensor["dtype"])
    return form is None or bool(np.isfinite(np.frombuffer(tensor["data"], form)).all())
