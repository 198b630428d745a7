"""``doctor zero``: strength 0 against the baseline, by the rule of runs, row by row."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.cli.progress import make_progress
from trimtab.cli.terminal import say
from trimtab.core.errors import CheckError, ConfigError
from trimtab.core.types import Completion
from trimtab.models import threads
from trimtab.recipes.base import load_recipe
from trimtab.runs.plan.zeroed import zeroed
from trimtab.runs.store.run import Run
from trimtab.runs.work.engines import EnginePool
from trimtab.runs.work.loop import work
from trimtab.runs.work.worker import Worker
from trimtab.runs.work.zero import Comparison, Differing, comparisons

if TYPE_CHECKING:
    from trimtab.engine.engine import Engine

_MOST_ROWS = 10
"""Of one condition that are shown."""


def show(config: Path, overrides: tuple[str, ...], limit: int) -> None:
    """Run the zero check alone, and print what differs.

    Args:
        config: An experiment file. What its interventions need is fitted as in a run; nothing is
            judged, and nothing stays but kept activations.
        overrides: ``key=value`` each.
        limit: Most samples of each set.

    Raises:
        ConfigError: No intervention of it has a strength.
        CheckError: Rows differ, or are missing, where a run's own check fails.
    """
    recipe = load_recipe(config, overrides)
    check = zeroed(recipe.plan(), limit)
    for line in check.left_out:
        say(f"left out: {line}")
    if not check.plan.cells:
        raise ConfigError(
            f"{config}: no intervention has a strength, so there is nothing to check.",
            hint="Its conditions are all of kinds that act or don't.",
        )
    progress = make_progress()
    count = threads.choose(threads.take_readings())
    if count.notice:
        progress.note(f"note: {count.notice}")
    pool = EnginePool(telling=progress.note)
    with tempfile.TemporaryDirectory(prefix="trimtab-zero-") as folder:
        settings = recipe.config.model_dump(mode="json")
        run = Run.create(Path(folder) / "run", settings, check.plan, check.data)
        with Worker(run, 1, progress, count.count) as worker:
            work([worker], pool, ("fit", "generate"))
        found = list(comparisons(run))
    for comparison in found:
        for line in _lines(comparison, pool):
            say(line)
    failed = [c.zero.condition for c in found if c.missing or c.check.status == "fail"]
    if failed:
        raise CheckError(
            f"Strength 0 is not the baseline in {len(failed)} of {len(found)} comparisons, the "
            f"first {failed[0]!r}.",
            hint="Whatever such an intervention adds at strength 0 is in all its other results.",
        )


def _lines(comparison: Comparison, pool: EnginePool) -> Iterator[str]:
    """Yield what is said of one condition: the check's own words, and the rows that differ."""
    zero, check = comparison.zero, comparison.check
    yield f"{check.status}: {zero.condition} of {zero.model.id}: {check.detail}"
    if comparison.differing:
        engine = pool.engine(zero.model, zero.model_identity)
        for row in comparison.differing[:_MOST_ROWS]:
            yield from _row(row, engine)
    more = len(comparison.differing) - _MOST_ROWS
    if more > 0:
        yield f"  and {more} more"


def _row(row: Differing, engine: Engine) -> Iterator[str]:
    largest = row.largest
    off = "" if largest is None else f"; log-probabilities differ by up to {largest:.3g} nats"
    yield f"  sample {row.zero.sample_id}: {_difference(row, engine)}{off}"
    yield f"    baseline:   {_shown(row.baseline)}"
    yield f"    strength 0: {_shown(row.zero)}"


def _difference(row: Differing, engine: Engine) -> str:
    """Return where two rows part: the first token, or the option that differs most."""
    a, b = row.baseline, row.zero
    if a.option_logprobs is not None and b.option_logprobs is not None:
        off = [abs(x - y) for x, y in zip(a.option_logprobs, b.option_logprobs, strict=False)]
        return f"option {off.index(max(off))} (from 0) differs most"
    encode, decode = engine.renderer.encode, engine.renderer.decode
    tokens = [encode(text or "") for text in (a.text, b.text)]
    for i, (x, y) in enumerate(zip(*tokens, strict=False)):
        if x != y:
            return f"token {i} (from 0) is {decode([x])!r} in the baseline, {decode([y])!r} here"
    shorter = min(map(len, tokens))
    if len(tokens[0]) != len(tokens[1]):
        return f"one text ends after {shorter} tokens and the other goes on"
    return (
        f"equal texts; {a.num_tokens} tokens and {a.finish_reason!r} in the baseline, "
        f"{b.num_tokens} and {b.finish_reason!r} here"
    )


def _shown(row: Completion) -> str:
    if row.option_logprobs is not None:
        return ", ".join(f"{value:.6g}" for value in row.option_logprobs)
    return repr(row.text) if row.error is None else f"error: {row.error}"
