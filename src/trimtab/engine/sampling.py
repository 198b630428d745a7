"""Choosing the next token of each row, with a random stream of its own per row.

A row's stream depends on its seed and the step alone, never on the batch: step t uses the t-th
uniform number of a Philox generator keyed by the row's seed, and picks the token by inverting the
cumulative distribution. So N = 16 candidates extend N = 5, and a resumed row repeats itself.

Shapes: B rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from trimtab.engine.request import Text


class Sampler:
    """Picks tokens for a fixed list of rows; rows are addressed by their index in that list."""

    def __init__(self, wants: Sequence[Text]) -> None:
        """Draw every row's uniforms ahead; greedy rows draw none."""
        self._params = [want.sampling for want in wants]
        self._uniforms = [
            np.random.Generator(np.random.Philox(key=want.seed)).random(want.sampling.max_tokens)
            if want.sampling.temperature > 0
            else None
            for want in wants
        ]

    def choose(self, logits_BV: torch.Tensor, rows: Sequence[int], step: int) -> torch.Tensor:
        """Return the next token [B] of ``rows`` (one per line of float32 ``logits_BV``)."""
        tokens_B = logits_BV.argmax(dim=-1)
        drawn = [i for i, row in enumerate(rows) if self._uniforms[row] is not None]
        if drawn:
            tokens_B[drawn] = self._draw(logits_BV[drawn], [rows[i] for i in drawn], step)
        return tokens_B

    def _draw(self, logits_BV: torch.Tensor, rows: list[int], step: int) -> torch.Tensor:
        device = logits_BV.device
        params = [self._params[row] for row in rows]

        def column(values: list[float]) -> torch.Tensor:
            return torch.tensor(values, dtype=torch.float64, device=device)[:, None]

        scaled_BV = logits_BV.double() / column([p.temperature for p in params])
        sorted_BV, token_BV = scaled_BV.sort(dim=-1, descending=True, stable=True)
        vocabulary = logits_BV.shape[1]
        rank_V = torch.arange(vocabulary, device=device)
        sorted_BV = sorted_BV.masked_fill(
            rank_V >= column([float(p.top_k or vocabulary) for p in params]), -torch.inf
        )
        p_BV = sorted_BV.softmax(dim=-1)
        # a token stays if the ones before it do not yet reach top_p, so the first always stays
        before_BV = p_BV.cumsum(dim=-1) - p_BV
        p_BV = p_BV.masked_fill(before_BV >= column([p.top_p for p in params]), 0.0)
        cumulative_BV = p_BV.cumsum(dim=-1)
        uniforms = [self._uniforms[row] for row in rows]
        # a finished row may stay in the batch beyond its own limit; its token is not used
        u_B1 = column([float(u[min(step, len(u) - 1)]) for u in uniforms if u is not None])
        # rounding can leave a last sliver: never pick a token that was filtered out
        pick_B = (cumulative_BV <= u_B1 * cumulative_BV[:, -1:]).sum(dim=-1)
        last_B = (p_BV > 0).sum(dim=-1) - 1
        chosen: torch.Tensor = token_BV.gather(1, pick_B.minimum(last_B)[:, None])[:, 0]
        return chosen
