"""The objective: the negative log-likelihood of labels, summed; its weight is their number.

So the loss of a batch is the mean over all its labels, however it is cut into parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from trimtab.engine.reading.likelihood import Learned, token_logprobs
from trimtab.engine.request import Edit
from trimtab.models.lowrank import Adapter
from trimtab.training.course import Stateless
from trimtab.training.parts import parts_of
from trimtab.training.sft.rows import Row

if TYPE_CHECKING:
    from trimtab.engine.engine import Engine


class Likelihood(Stateless):
    """How likely an adapter makes the labels of rows."""

    def __init__(
        self,
        engine: Engine,
        adapter: Adapter | None,
        rows: Sequence[Row],
        *,
        recompute: bool = False,
        edits: tuple[Edit, ...] = (),
    ) -> None:
        """Take what is learned from.

        Args:
            engine: Of the base model, which stays as it is.
            adapter: What is trained; None is the base.
            rows: Items are their numbers.
            recompute: See ``token_logprobs``.
            edits: On all rows.
        """
        self.rows = rows
        self._engine = engine
        self._adapter = adapter
        self._recompute = recompute
        self._edits = edits

    def loss(self, items: Sequence[int]) -> tuple[torch.Tensor, float]:
        """Return the negative log-likelihood (nats) of the rows' labels, and their number."""
        logprobs = self.logprobs(items)
        return -torch.cat(logprobs).sum(), float(sum(map(len, logprobs)))

    def logprobs(self, items: Sequence[int]) -> list[torch.Tensor]:
        """Return for each of the rows the log-probabilities of its labels."""
        learned = [
            Learned(row.tokens, row.places, self._adapter, self._edits)
            for row in (self.rows[item] for item in items)
        ]
        engine = self._engine
        return token_logprobs(engine.loaded, engine.head, learned, recompute=self._recompute)


def mean_losses(objective: Likelihood, most_tokens: int) -> dict[str, dict[str, float]]:
    """Return for each source the mean loss (nats per label) of its rows, without gradients."""
    sums: dict[str, list[float]] = {}
    with torch.no_grad():
        for part in parts_of(objective.rows, range(len(objective.rows)), most_tokens):
            for item, logprob_N in zip(part, objective.logprobs(part), strict=True):
                entry = sums.setdefault(objective.rows[item].source, [0.0, 0.0])
                entry[0] -= float(logprob_N.double().sum())
                entry[1] += len(logprob_N)
    return {
        source: {"loss": total / count, "labels": int(count)}
        for source, (total, count) in sorted(sums.items())
    }
