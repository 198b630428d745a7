"""What a reader must know of a run's settings beside its numbers."""

from __future__ import annotations

from trimtab.runs.store.run import Run


def notices(run: Run) -> list[str]:
    """Return a line for each setting that weakens what a run guarantees."""
    specs = [cell.model for cell in run.plan.cells]
    specs += [judge.model for judge in run.judges() if judge.model is not None]
    formats = sorted({s.dtype for s in specs if s.device == "cpu"} - {"auto", "float32"})
    if not formats:
        return []
    return [
        f"{' and '.join(formats)} on a CPU: numbers and tokens depend on the shape of the batch, "
        "so strength 0 equals the baseline, and a resumed run an undisturbed one, only up to "
        "that. `trimtab doctor drift` measures how much."
    ]
