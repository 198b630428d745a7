"""Try learning rates for a few updates each: what is learned, and what else moves.

A rate that is too high shows in a loss that rises or in a divergence from the base on held-out rows
that grows faster than the loss falls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from trimtab.core.errors import NonFiniteError
from trimtab.engine.request import Options, OptionsResult, Request
from trimtab.models.lowrank import Adapter
from trimtab.training.sft.config import AdapterTraining
from trimtab.training.sft.fit import Data, Kept, tune
from trimtab.training.sft.rows import make_rows

if TYPE_CHECKING:
    from trimtab.engine.engine import Engine


@dataclass(frozen=True)
class Tried:
    """What some updates at one rate did.

    Attributes:
        rate: The learning rate.
        first: Loss of the first update's batch, nats per label.
        last: Mean loss of the last quarter of the updates.
        held_out: Loss by source before and after, on rows that were not learned from.
        drift: Mean KL(base || tuned) per label of those rows, nats; None without such rows.
        failed: Why there are no numbers.
    """

    rate: float
    first: float | None = None
    last: float | None = None
    held_out: dict[str, tuple[float, float]] | None = None
    drift: float | None = None
    failed: str | None = None


def probe(
    engine: Engine,
    settings: AdapterTraining,
    data: Data,
    rates: Sequence[float],
    *,
    steps: int,
    seed: int,
) -> Iterator[Tried]:
    """Yield what ``steps`` updates at each of ``rates`` do, all from the same start and order."""
    for rate in rates:
        changed = {"learning_rate": rate, "steps": steps, "keep": "last", "most_skipped": 0}
        with TemporaryDirectory(prefix="probe-") as folder:
            try:
                (kept,) = tune(
                    engine,
                    settings.model_copy(update={**changed, "schedule": "constant"}),
                    data,
                    folder=Path(folder),
                    seed=seed,
                    checkpoint_seconds=float("inf"),
                ).values()
            except NonFiniteError as error:
                yield Tried(rate, failed=error.message)
                continue
        yield _told(engine, settings, data, rate, kept)


def _told(engine: Engine, settings: AdapterTraining, data: Data, rate: float, kept: Kept) -> Tried:
    training = kept.about["training"]
    losses = [loss for _, loss, *_ in training["losses"]]
    tail = losses[-max(1, len(losses) // 4) :]
    looks = [look["held_out"] for look in training["held_out"]]
    held_out = (
        {source: (looks[0][source]["loss"], looks[-1][source]["loss"]) for source in looks[0]}
        if looks
        else None
    )
    drift = _drift(engine, settings, data, kept.adapter) if data.held_out else None
    return Tried(rate, losses[0], sum(tail) / len(tail), held_out, drift)


def _drift(engine: Engine, settings: AdapterTraining, data: Data, adapter: Adapter) -> float:
    """Return the mean divergence of the adapted model from the base on held-out labels."""
    rows = make_rows(
        engine.renderer,
        data.held_out,
        rendering=settings.rendering,
        max_tokens=settings.max_tokens,
    ).rows
    requests = [
        Request(
            i,
            row.tokens[: row.places[0]],
            Options((row.tokens[row.places[0] :],), (0,)),
            adapter=adapter,
        )
        for i, row in enumerate(rows)
    ]
    total, count = 0.0, 0
    for result in engine.run(requests):
        assert isinstance(result, OptionsResult) and isinstance(result.key, int)
        (divergence,) = result.kl
        assert divergence is not None
        tokens = len(rows[result.key].tokens) - rows[result.key].places[0]
        total, count = total + divergence * tokens, count + tokens
    return total / count
