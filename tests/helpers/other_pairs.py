"""The same fit on other contrast pairs, in another folder, or of another specification."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trimtab.core.types import ContrastPair
from trimtab.engine.engine import Engine
from trimtab.steering.fitted import FitContext


def on_pairs(
    context: FitContext,
    pairs: Sequence[ContrastPair] | None = None,
    select: Sequence[ContrastPair] | None = None,
    folder: Path | None = None,
) -> FitContext:
    """Return ``context`` on other pairs of either split, by default in a temporary folder."""
    return FitContext.of_pairs(
        context.engine,
        context.pairs if pairs is None else pairs,
        context.rendering,
        context.seed,
        select=context.select if select is None else select,
        folder=folder,
    )


def of_spec(engine: Engine, **changes: Any) -> Engine:
    """Return the engine as that of a model of another specification, which computes the same."""
    other, loaded = copy.copy(engine), engine.loaded
    spec = loaded.resolved.spec.model_copy(update=changes)
    other.loaded = replace(loaded, resolved=replace(loaded.resolved, spec=spec))
    return other
