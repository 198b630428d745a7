"""Strength 0 against the baseline, row by row: what the run's own check counts, with the rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from trimtab.core.counted import counted
from trimtab.core.plan import Cell
from trimtab.core.report import Check, Status
from trimtab.core.types import Completion
from trimtab.runs.store.run import Run

# float32 rounding grows with the sum: one over a hundred tokens reaches hundreds of nats
_LOGPROB_ABSOLUTE, _LOGPROB_RELATIVE = 1e-4, 1e-5


@dataclass(frozen=True)
class Differing:
    """A row that is not the baseline's."""

    baseline: Completion
    zero: Completion

    @property
    def largest(self) -> float | None:
        """The largest difference of a log-probability, in nats; None where one is not known."""
        pairs = [(self.baseline.logprob, self.zero.logprob)]
        if self.baseline.option_logprobs is not None and self.zero.option_logprobs is not None:
            pairs = list(
                zip(self.baseline.option_logprobs, self.zero.option_logprobs, strict=False)
            )
        known = [abs(a - b) for a, b in pairs if a is not None and b is not None]
        return max(known, default=None)


@dataclass(frozen=True)
class Comparison:
    """A condition at strength 0 against its baseline.

    Attributes:
        zero: Its cell.
        expected: Rows that the baseline has.
        present: Those of them that it has as well.
        differing: Those of these that are others.
        missing: Rows that one of the two owes, which nothing is known of.
    """

    zero: Cell
    expected: int
    present: int
    differing: tuple[Differing, ...]
    missing: int = 0

    @property
    def check(self) -> Check:
        """What the run's report says of it."""
        equal = self.present - len(self.differing)
        total = self.present if self.missing else self.expected
        detail = f"{equal} of {total} rows equal ({self.zero.measure})"
        status: Status = "pass"
        if self.differing:
            status = "fail" if self.zero.model.is_exact else "warn"
            if status == "warn":
                detail += "; reduced precision: last bits depend on the shape of the batch"
        elif self.missing:
            status = "warn"
        elif not self.expected or self.present < self.expected:
            status = "fail"
        if self.missing:
            are = "is" if self.missing == 1 else "are"
            detail += f"; {counted(self.missing, 'row')} {are} missing and not compared"
        return Check("strength 0 equals baseline", status, detail)


def comparisons(run: Run) -> Iterator[Comparison]:
    """Yield a comparison for each condition at strength 0 that has a baseline."""
    cells = run.plan.cells
    for zero in (cell for cell in cells if cell.role == "zero"):
        base = next((c for c in cells if c.role == "baseline" and _comparable(c, zero)), None)
        if base is None:
            continue
        rows, expected = _rows(run, zero), _rows(run, base)
        both = [key for key in expected if key in rows]
        differing = [
            Differing(expected[key], rows[key])
            for key in both
            if not _same(rows[key], expected[key])
        ]
        missing = len(run.owed(zero)) + len(run.owed(base))
        yield Comparison(zero, len(expected), len(both), tuple(differing), missing)


def _rows(run: Run, cell: Cell) -> dict[tuple[str, int], Completion]:
    return {key[1:]: row for key, row in run.completions(cell.key).items()}


def _comparable(a: Cell, b: Cell) -> bool:
    return (a.measure, a.samples, a.model_identity) == (b.measure, b.samples, b.model_identity)


def _same(a: Completion, b: Completion) -> bool:
    if a.option_logprobs is not None and b.option_logprobs is not None:
        return len(a.option_logprobs) == len(b.option_logprobs) and all(
            math.isclose(x, y, rel_tol=_LOGPROB_RELATIVE, abs_tol=_LOGPROB_ABSOLUTE)
            for x, y in zip(a.option_logprobs, b.option_logprobs, strict=True)
        )
    return (a.text, a.num_tokens, a.finish_reason) == (b.text, b.num_tokens, b.finish_reason)
