"""How much memory a worker of a run needs: an estimate from its models, then what was seen."""

from __future__ import annotations

import time

from trimtab.core.errors import ModelError
from trimtab.core.spec import ModelSpec
from trimtab.models.load import resolve
from trimtab.models.memory import USUAL_ROWS, USUAL_TOKENS, estimate_bytes
from trimtab.runs.store.run import Run
from trimtab.runs.usage import meter

_PROCESS = 700 * 2**20
"""Bytes of a worker before it loads a model, libraries among them."""

_SECONDS_BETWEEN_LOOKS = 5.0


def planned_models(run: Run) -> dict[str, ModelSpec]:
    """Return every model that the plan and its judges load, by identity."""
    named: list[tuple[str | None, ModelSpec | None]] = []
    named += [(cell.model_identity, cell.model) for cell in run.plan.cells]
    named += [(judge.model_identity, judge.model) for judge in run.judges()]
    named += [(fit.model_identity, fit.model) for fit in run.plan.fits]
    return {key: model for key, model in named if key is not None and model is not None}


class Need:
    """Memory of one worker.

    Attributes:
        bytes: As it was when this was made.
    """

    def __init__(self, run: Run) -> None:
        """Estimate it, or take what earlier attempts had at most."""
        self._run = run
        models = planned_models(run)
        self._num_models = len(models)
        self._estimate = _PROCESS + max(map(_bytes_of, models.values()), default=0)
        self._next = 0.0
        self.bytes = self._estimate
        self.bytes = self.now()

    def now(self) -> int:
        """Return what one worker needs, as far as that is known by now.

        What was seen holds over an estimate where a run has one model: of several the largest may
        not have been loaded yet.
        """
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _SECONDS_BETWEEN_LOOKS
            seen = [
                int(record.peak_memory_mib * 2**20)
                for record in meter.read(self._run.dir)
                if record.peak_memory_mib is not None and record.device is not None
            ]
            if seen:
                self.bytes = max(seen) if self._num_models == 1 else max(*seen, self._estimate)
        return self.bytes


def bytes_of_worker(spec: ModelSpec | None) -> int:
    """Return what a worker needs that holds a model, or none: an estimate."""
    return _PROCESS + (0 if spec is None else _bytes_of(spec))


def _bytes_of(spec: ModelSpec) -> int:
    """Return what a model needs of main memory; on a GPU its weights pass through there."""
    try:
        resolved = resolve(spec)
    except ModelError:  # a worker that loads it tells why
        return 0
    spec = resolved.spec
    size = estimate_bytes(resolved.card, spec.dtype, USUAL_ROWS, USUAL_TOKENS, spec.quantization)
    return size.total if spec.device == "cpu" else size.weights
