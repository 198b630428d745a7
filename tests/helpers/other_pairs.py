"""The same fit on other contrast pairs or in another folder."""

from collections.abc import Sequence
from pathlib import Path

from trimtab.core.types import ContrastPair
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
