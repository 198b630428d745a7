"""Choosing the next token of every row of a batch of fixed shape, on the device alone.

The tokens are those of ``sampling.Sampler``, for the same uniforms: what it looks up in lists by
row and step is laid out here in tensors that are filled when a row is given a new request.

Shapes: B rows, T steps, V vocabulary, H hidden.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from trimtab.engine.passes.head import Head
from trimtab.engine.request import Text
from trimtab.engine.writing.sampling import Sampler, columns, invert, invert_cut, is_cut

_ROWS = 64
"""Rows whose vocabulary is sorted at a time."""


class Chooser:
    """Picks a token for each row of a batch."""

    def __init__(self, wants: Sequence[Text], head: Head, num_rows: int) -> None:
        """Make room for ``num_rows`` rows; ``wants`` are all that will ever enter."""
        self._head = head
        self._sampler = Sampler(wants, head)
        drawn = [want.sampling for want in wants if want.sampling.temperature > 0]
        self._any_drawn, self._any_cut = bool(drawn), any(map(is_cut, drawn))
        steps = max((params.max_tokens for params in drawn), default=1)
        rows, device = (num_rows, 1), head.device
        self._u_BT = torch.zeros((num_rows, steps), dtype=torch.float64, device=device)
        self._heat_B1 = torch.ones(rows, device=device)
        self._most_B1 = torch.zeros(rows, dtype=torch.float64, device=device)
        self._top_p_B1 = torch.zeros(rows, dtype=torch.float64, device=device)
        self._is_drawn_B = torch.zeros(num_rows, dtype=torch.bool, device=device)
        self._is_cut_B = torch.zeros(num_rows, dtype=torch.bool, device=device)

    def enter(self, rows: Sequence[int], indices: Sequence[int]) -> None:
        """Let ``rows`` choose as the wants of these ``indices`` do, from their first steps."""
        if not self._any_drawn:
            return
        of_rows = [self._sampler.of(index) for index in indices]
        params = [p for p, _ in of_rows]
        u_RT = np.zeros((len(rows), self._u_BT.shape[1]))
        for line, (_, uniforms) in zip(u_RT, of_rows, strict=True):
            if uniforms is not None:
                line[: len(uniforms)] = uniforms
        device = self._u_BT.device
        heat_R1, most_R1, top_p_R1 = columns(params, device)
        drawn_R = torch.tensor([uniforms is not None for _, uniforms in of_rows], device=device)
        index_R = torch.tensor(list(rows), device=device)
        # a greedy row's draw is not used, and must not divide by zero
        self._heat_B1[index_R] = torch.where(drawn_R[:, None], heat_R1, 1.0)
        self._most_B1[index_R], self._top_p_B1[index_R] = most_R1, top_p_R1
        self._is_drawn_B[index_R] = drawn_R
        self._is_cut_B[index_R] = torch.tensor([is_cut(p) for p in params], device=device)
        self._u_BT[index_R] = torch.from_numpy(u_RT).to(device)

    def choose(
        self, hidden_BH: torch.Tensor, step_B: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return each row's token [B] and its log-probability [B], as ``Sampler.choose`` does.

        ``step_B`` is how many tokens each row has written.
        """
        if not self._any_drawn:
            token_B, logit_B, total_B = self._head.greedy(hidden_BH)
            return token_B, (logit_B - total_B).float()
        logits_BV = self._head.logits(hidden_BH)
        scaled_BV = logits_BV / self._heat_B1.to(logits_BV.dtype)
        u_B1 = self._u_BT.gather(1, step_B.clamp(max=self._u_BT.shape[1] - 1)[:, None])
        drawn_B = invert(scaled_BV, u_B1)
        if self._any_cut:
            cut_B = self._cut(scaled_BV, u_B1)
            drawn_B = torch.where(self._is_cut_B, cut_B, drawn_B)
        token_B = torch.where(self._is_drawn_B, drawn_B, logits_BV.argmax(dim=1))
        chosen_B = logits_BV.gather(1, token_B[:, None])[:, 0]
        return token_B, (chosen_B - logits_BV.logsumexp(dim=1)).float()

    def _cut(self, scaled_BV: torch.Tensor, u_B1: torch.Tensor) -> torch.Tensor:
        columns_BX = (scaled_BV, self._most_B1, self._top_p_B1, u_B1)
        slices = zip(*(column.split(_ROWS) for column in columns_BX), strict=True)
        return torch.cat([invert_cut(*some) for some in slices])

    def keep(self, rows: torch.Tensor) -> None:
        """Drop all rows but these."""
        self._u_BT, self._heat_B1 = self._u_BT[rows], self._heat_B1[rows]
        self._most_B1, self._top_p_B1 = self._most_B1[rows], self._top_p_B1[rows]
        self._is_drawn_B, self._is_cut_B = self._is_drawn_B[rows], self._is_cut_B[rows]
